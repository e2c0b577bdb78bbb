"""Pieces of a regular language that know about how many automaton states they cost."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from shared.contracts.grammar import expression as ex
from shared.contracts.grammar.charset import DIGIT, ENCODABLE, CharSet
from shared.contracts.grammar.expression import Alternation, Chars, Expression, Sequence, Text

CONTROLS = CharSet.of([(0x00, 0x1F), (0x7F, 0x7F)])


@dataclass(frozen=True)
class Part:
    """An expression; `states` estimates what it adds to the determinised, unminimised automaton."""

    expression: Expression
    states: int

    def __add__(self, other: Part) -> Part:
        """One after the other."""
        return Part(ex.sequence((self.expression, other.expression)), self.states + other.states)

    @property
    def shadow(self) -> Part:
        """The same expression where the automaton reads it in step with another copy: it costs nothing more."""
        return Part(self.expression, 0)

    @property
    def optional(self) -> Part:
        """Present or not."""
        return Part(ex.optional(self.expression), self.states)

    @property
    def many(self) -> Part:
        """Any number of times."""
        return Part(ex.repeat(self.expression, 0, None), self.states)


def literal(text: str) -> Part:
    """Exactly this text."""
    return Part(Text(text), len(text.encode()))


def alternatives(parts: Iterable[Part]) -> Part:
    """One of the parts; `NOTHING` when there are none."""
    kept = [part for part in parts if part is not NOTHING]
    if not kept:
        return NOTHING
    # Not ex.alternation: it hashes whole languages to drop repeats, and there are none.
    branches = Alternation(tuple(part.expression for part in kept))
    return Part(branches, sum(part.states for part in kept))


def separated(part: Part, separator: Part) -> Part:
    """`part`, or several with separators between. Both copies are read in step, so the states count once."""
    return (part.shadow + separator).many + part


def words(texts: Iterable[str]) -> Part:
    """One of these texts; common beginnings share their states."""
    ordered = list(dict.fromkeys(texts))
    prefixes = {text[:end] for text in ordered for end in range(1, len(text) + 1)}
    return Part(_tree(ordered), len(prefixes))


def python_regex(expression: Expression) -> str:
    """The expression in the dialect of Python's `re`, which writes code points in another way than Rust's."""
    return re.sub(r"\\x\{([0-9A-F]+)\}", lambda found: rf"\U{int(found[1], 16):08x}", ex.regex(expression))


def _tree(texts: list[str]) -> Expression:
    """The texts with common beginnings written once; one that begins another becomes an empty alternative."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        groups.setdefault(text[:1], []).append(text)
    branches: list[Expression] = []
    for group in groups.values():
        prefix = _common_prefix(group)
        rest = [text[len(prefix) :] for text in group]
        branches.append(Sequence((Text(prefix), _tree(rest))) if len(rest) > 1 else Text(prefix))
    return branches[0] if len(branches) == 1 else Alternation(tuple(branches))


def _common_prefix(texts: list[str]) -> str:
    first, last = min(texts), max(texts)
    length = next(
        (end for end, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last))
    )
    return first[:length]


NOTHING = Part(ex.NOTHING, 0)
"""The expression that matches no text; `alternatives` drops it."""
EMPTY = Part(ex.EMPTY, 0)

_DIGIT, _FIRST = Chars(DIGIT), Chars(DIGIT - CharSet.chars("0"))
_WHOLE = Alternation((Text("0"), Sequence((_FIRST, ex.repeat(_DIGIT, 0, 11)))))
_FRACTION = ex.optional(Sequence((Text("."), ex.repeat(_DIGIT, 1, 6))))
NUMBER = Part(Sequence((ex.optional(Text("-")), _WHOLE, _FRACTION)), 21)
"""Plain decimals: no exponent, at most 12 digits before the point and 6 behind it."""
LIMIT = Part(Sequence((_FIRST, ex.repeat(_DIGIT, 0, 3))), 4)
"""1 to 9999."""


def string(forbidden: CharSet = CONTROLS) -> Part:
    """A string in single quotes without `forbidden` characters.

    Unbounded: the budget mask closes it, while a bound would cost states for every character.
    """
    free = Chars(ENCODABLE - forbidden - CharSet.chars("'"))
    return Part(Sequence((Text("'"), ex.repeat(Alternation((free, Text("''"))), 0, None), Text("'"))), 11)


def date_literal() -> Expression:
    """`'YYYY-MM-DD'`: every day that every year from 1000 to 2999 has, so 29 February is not among them."""
    year = Sequence((Chars(CharSet.chars("12")), ex.repeat(_DIGIT, 3, 3)))
    months = [_days((1, 3, 5, 7, 8, 10, 12), 31), _days((4, 6, 9, 11), 30), _days((2,), 28)]
    return ex.sequence((Text("'"), year, Text("-"), Alternation(tuple(months)), Text("'")))


def _days(months: Iterable[int], last: int) -> Expression:
    numbers = [Alternation(tuple(Text(f"{n:02}") for n in group)) for group in (months, range(1, last + 1))]
    return Sequence((numbers[0], Text("-"), numbers[1]))
