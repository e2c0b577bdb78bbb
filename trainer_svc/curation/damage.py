"""Text that was damaged before it came here: read with the wrong table, cut within a character, with hidden signs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from ftfy import fix_encoding
from ftfy.fixes import unescape_html

_LOST = re.compile("[\ufffd\ud800-\udfff]")
"""What a decoder puts where it could not read on, and halves of characters."""
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_HIDDEN = re.compile("[\u00ad\u2028\u2029\u202d\u202e\u2060\u2063\u3164\ufeff\ufffe]")
"""Soft hyphens, separators of lines, marks of byte order, what forces a reading order. Joiners and isolates are left
out: Persian, emoji and mixtures of Arabic and Latin are written with them."""
_NO_WIDTH = re.compile("\u200b")
_WITHOUT_SPACES = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
"""Thai, Lao, Burmese and Khmer separate words by a space of no width."""
_APART = re.compile("[A-Za-z\u00c0-\u024f\u0370-\u03ff\u0400-\u052f][\u0300-\u036f]")
_CONTINUED = re.escape(bytes(range(0x80, 0xC0)).decode("sloppy-windows-1252"))
_MISREAD = re.compile(f"[ÂÃÄÅ][{_CONTINUED}]|â[{_CONTINUED}]{{2}}|ð[{_CONTINUED}]{{3}}")
"""UTF-8 of Latin letters, signs and emoji, read as Windows-1252; ftfy leaves some alone that stand by themselves."""
_SHOWN = 40


def damages(text: str) -> Iterator[tuple[str, str]]:
    """What is wrong with a text: a reason, and in which place."""
    if text.isascii() and "&" not in text and not _CONTROL.search(text):
        return
    mended = _decoded(text)
    if lost := _LOST.search(text):
        yield "TEXT_DAMAGED", f"has lost characters near {_near(text, lost)}"
    elif mended != text:
        yield "TEXT_DAMAGED", f"was read with the wrong table near {_change(text, mended)}"
    elif "<" not in text and "html" not in text.casefold() and (plain := unescape_html(text)) != text:
        yield "TEXT_DAMAGED", f"has entities of HTML near {_change(text, plain)}"
    hidden = _CONTROL.search(mended) or _HIDDEN.search(mended)  # others came with the wrong table
    if hidden or (not _WITHOUT_SPACES.search(mended) and (hidden := _NO_WIDTH.search(mended))):
        code = f"U+{ord(hidden[0]):04X}"
        yield "TEXT_HAS_HIDDEN_SIGNS", f"has {code}, which nobody sees, near {_near(mended, hidden)}"
    if any(len(unicodedata.normalize("NFC", pair)) == 1 for pair in _APART.findall(text)):
        message = "writes letters with their accents apart (not Unicode NFC), which are other tokens"
        yield "TEXT_NOT_NORMALISED", message


def _decoded(text: str) -> str:
    """As it was meant, if it was read with the wrong table."""
    mended = fix_encoding(text)
    return mended if mended != text else _MISREAD.sub(_decode, text)


def _decode(found: re.Match[str]) -> str:
    return found[0].encode("sloppy-windows-1252").decode("utf-8", errors="replace")


def _near(text: str, found: re.Match[str]) -> str:
    return ascii(text[max(0, found.start() - _SHOWN // 2) : found.end() + _SHOWN // 2])


def _change(text: str, mended: str) -> str:
    """The first place in which they differ, in both."""
    place = next((at for at, (old, new) in enumerate(zip(text, mended, strict=False)) if old != new), len(mended))
    begin = max(0, place - _SHOWN // 4)
    return f"{text[begin : place + _SHOWN]!r}, which reads {mended[begin : place + _SHOWN]!r}"
