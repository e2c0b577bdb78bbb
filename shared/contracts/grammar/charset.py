"""Sets of Unicode code points."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np

_LAST = 0x10FFFF


@dataclass(frozen=True)
class CharSet:
    """A set of code points as sorted, disjoint, non-adjacent inclusive ranges."""

    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, ranges: Iterable[tuple[int, int]]) -> CharSet:
        """The union of any ranges, in any order."""
        merged: list[tuple[int, int]] = []
        for low, high in sorted(ranges):
            if merged and low <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], high))
            else:
                merged.append((low, high))
        return cls(tuple(merged))

    @classmethod
    def chars(cls, text: str) -> CharSet:
        """The characters of `text`."""
        return cls.of((ord(char), ord(char)) for char in text)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __contains__(self, code: int) -> bool:
        for low, high in self.ranges:  # a loop: this is asked millions of times, and `any` would take twice as long
            if code <= high:
                return low <= code
        return False

    def __or__(self, other: CharSet) -> CharSet:
        return CharSet.of((*self.ranges, *other.ranges))

    def __invert__(self) -> CharSet:
        gaps, begin = [], 0
        for low, high in self.ranges:
            if begin < low:
                gaps.append((begin, low - 1))
            begin = high + 1
        if begin <= _LAST:
            gaps.append((begin, _LAST))
        return CharSet(tuple(gaps))

    def __and__(self, other: CharSet) -> CharSet:
        return ~(~self | ~other)

    def __sub__(self, other: CharSet) -> CharSet:
        return self & ~other

    def regex(self) -> str:
        """A class for the members in the dialect of Rust's regex-automata; they hold no surrogates."""
        return "[" + "".join(rf"\x{{{low:X}}}-\x{{{high:X}}}" for low, high in self.ranges) + "]"


ENCODABLE = CharSet.of([(0x08, 0x0A), (0x0C, 0x0D), (0x20, 0xD7FF), (0xE000, _LAST)])
"""What our strings may hold: Unicode without surrogates, which have no UTF-8, and controls without a short escape."""

DIGIT = CharSet.of([(0x30, 0x39)])
WORD = CharSet.of([(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)])


@cache
def _python(letter: str) -> CharSet:
    r"""What Python's `re` finds for `\d`, `\w` or `\s`: asked of it in one search through all of Unicode."""
    every = np.arange(_LAST + 1, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
    return CharSet.of((found.start(), found.end() - 1) for found in re.finditer(rf"\{letter}+", every))


_ECMA_SPACE = CharSet.chars("\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff") | CharSet.of(
    [(0x2000, 0x200A)]
)


@dataclass(frozen=True)
class CharClass:
    r"""A class that two readers may read differently: its members for ECMA-262, and for Python's `re`.

    ECMA-262 (which JSON Schema names) reads `\d` and `\w` as ASCII, Python's validator as Unicode.
    """

    ecma: CharSet
    python: CharSet

    def __or__(self, other: CharClass) -> CharClass:
        return CharClass(self.ecma | other.ecma, self.python | other.python)

    def __invert__(self) -> CharClass:
        return CharClass(~self.ecma, ~self.python)

    @property
    def narrow(self) -> CharSet:
        r"""What is in the class for both, and so is generated: all of `[\s\S]`, though they disagree on each half."""
        return self.ecma if self.ecma == self.python else self.ecma & self.python

    @property
    def wide(self) -> CharSet:
        """What is in the class for at least one of them: what is not generated where a pattern must not be found."""
        return self.ecma | self.python

    @classmethod
    def exact(cls, chars: CharSet) -> CharClass:
        """A class that everybody reads alike."""
        return cls(chars, chars)


DOT = CharClass(~CharSet.chars("\n\r\u2028\u2029"), ~CharSet.chars("\n"))
"""What `.` stands for."""


def shorthand(letter: str) -> CharClass:
    r"""The class of `\d`, `\w`, `\s` or their upper-case complement."""
    positive = {
        "d": lambda: CharClass(DIGIT, _python("d")),
        "w": lambda: CharClass(WORD, _python("w")),
        "s": lambda: CharClass(_ECMA_SPACE, _python("s")),
    }[letter.lower()]()
    return positive if letter.islower() else ~positive
