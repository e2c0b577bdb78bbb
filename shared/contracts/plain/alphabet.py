"""Which characters an answer in plain text may hold, and what is said of the others."""

from __future__ import annotations

from shared.contracts.grammar.charset import ENCODABLE


def foreign(text: str) -> str:
    """The first character that no answer can hold (surrogates, most controls), as `U+XXXX at character N`; or none."""
    place = next((index for index, char in enumerate(text) if ord(char) not in ENCODABLE), None)
    return "" if place is None else f"U+{ord(text[place]):04X} at character {place}"
