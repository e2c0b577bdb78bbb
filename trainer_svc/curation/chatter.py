"""Words to a person in an answer to a program, in English: "Sure, here is ..."."""

from __future__ import annotations

import re

_OPENING = re.compile(
    r"(?i)\W{0,4}(?:(?:sure|certainly|of course|absolutely|great question) ?[,!.:]"
    r"|here(?:['\u2019]s| is| are) (?:the|your)\b|as an ai\b|i(?:['\u2019]m| am) (?:unable to|an ai)\b)"
)
_CLOSING = re.compile(r"(?i)(?:let me know if|hope (?:this|that) helps|feel free to)[^.!?]{0,100}[.!?]?$")
_CLOSING_CHARS = 150


def chatter(text: str, source: str) -> str:
    """The words in an answer that speak to a person, where they do not stand in the input, `source`; else empty."""
    for found in (_OPENING.match(text), _CLOSING.search(text.rstrip()[-_CLOSING_CHARS:])):
        if found and found[0].strip() not in source:
            return found[0].strip()
    return ""
