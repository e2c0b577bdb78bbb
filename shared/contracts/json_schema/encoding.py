"""How a JSON string spells characters: the one canonical way, that of `json.dumps(ensure_ascii=False)`."""

from __future__ import annotations

import json
from functools import lru_cache

from shared.contracts.grammar.charset import CharSet
from shared.contracts.grammar.expression import (
    Alternation,
    Chars,
    Expression,
    Reference,
    Repeat,
    Sequence,
    Text,
    alternation,
    sequence,
)

_ESCAPES = {0x08: "b", 0x09: "t", 0x0A: "n", 0x0C: "f", 0x0D: "r", 0x22: '"', 0x5C: "\\"}
"""Characters that are written as a backslash and one letter."""
_ESCAPED = CharSet.of((code, code) for code in _ESCAPES)


def quoted(content: Expression) -> Expression:
    """The JSON strings whose value is in the language `content`."""
    return sequence([Text('"'), encoded(content), Text('"')])


# Intersections share parts many times over: as a tree they would be written for minutes.
@lru_cache(maxsize=50_000)
def encoded(content: Expression) -> Expression:
    """The spelling of a language inside a JSON string; its characters are all `ENCODABLE`."""
    match content:
        case Chars(chars):
            letters = "".join(letter for code, letter in _ESCAPES.items() if code in chars)
            raw = chars - _ESCAPED
            escapes = Sequence((Text("\\"), Chars(CharSet.chars(letters))))
            return alternation([*([Chars(raw)] if raw else []), *([escapes] if letters else [])])
        case Text(text):
            return Text(json.dumps(text, ensure_ascii=False)[1:-1])
        case Sequence(items):
            return sequence(encoded(item) for item in items)
        case Alternation(branches):
            return alternation(encoded(branch) for branch in branches)
        case Repeat(item, least, most):
            return Repeat(encoded(item), least, most)
        case Reference():
            return content
