"""ROUGE-L: how much of a text another one has in the same order."""

from __future__ import annotations

import unicodedata

from rapidfuzz.distance import LCSseq

_UNSPACED = ((0x0E00, 0x0EFF), (0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))
"""Thai, Lao, kana and Han, which put no space between words: there each character counts as one."""


def rouge_l(golden: str, generated: str) -> float:
    """`F1 = 2 * LCS / (words of golden + words of generated)`, 0..1; 0 where one of them has no words.

    Lin 2004, sentence level. Words are in lower case and hold letters, digits and marks; on ASCII that is what the
    package rouge-score counts without its stemmer.
    """
    words, others = _words(golden), _words(generated)
    if not words or not others:
        return 0.0
    return 2 * LCSseq.similarity(words, others) / (len(words) + len(others))


def _words(text: str) -> list[str]:
    return "".join(map(_spaced, unicodedata.normalize("NFC", text).lower())).split()


def _spaced(char: str) -> str:
    if char.isascii():
        return char if char.isalnum() else " "
    is_part = char.isalnum() or unicodedata.category(char).startswith("M")
    if not is_part:
        return " "
    return f" {char} " if any(first <= ord(char) <= last for first, last in _UNSPACED) else char
