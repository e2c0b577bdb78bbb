"""Text of others as a terminal shows it and never obeys it."""

from __future__ import annotations

import unicodedata

_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's categories of what has no picture, or moves the cursor, turns the reading order, rings a bell."""


def visible(text: str | bytes) -> str:
    """The text, or the bytes of it, with nothing in it that moves, colours, hides or turns.

    Line ends are shown and kept; other control characters are shown by Unicode's pictures or their number, and bytes of
    a part of a character by theirs.
    """
    characters = text if isinstance(text, str) else text.decode(errors="surrogateescape")
    return "".join(map(_visible_character, characters))


def _visible_character(character: str) -> str:
    number = ord(character)
    if character == "\n":
        return "\u240a\n"
    if number < 0x20:
        return chr(0x2400 + number)
    if 0xDC80 <= number <= 0xDCFF:  # what surrogateescape makes of a byte that is no UTF-8
        return f"\\x{number - 0xDC00:02x}"
    if unicodedata.category(character) in _UNSHOWN:
        return f"\\u{{{number:x}}}"
    return character
