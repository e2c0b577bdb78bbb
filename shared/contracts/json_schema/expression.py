"""Regular expressions over code points: the form in which patterns, formats and lengths meet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from shared.contracts.json_schema.charset import ENCODABLE, CharSet


@dataclass(frozen=True)
class Chars:
    """One character out of a set; an empty set matches nothing."""

    chars: CharSet
    min_length = 1
    max_length = 1
    positions = 1
    depth = 1

    def json_regex(self) -> str:
        """The language spelled inside a canonical JSON string, as an expression for the index."""
        return self.chars.json_regex()


@dataclass(frozen=True)
class Sequence:
    """One after the other; without items: the empty text."""

    items: tuple[Expression, ...]

    @cached_property
    def min_length(self) -> int:
        """Length of the shortest text."""
        return sum(item.min_length for item in self.items)

    @cached_property
    def max_length(self) -> int | None:
        """Length of the longest text; None when there is none."""
        lengths = [item.max_length for item in self.items]
        return None if None in lengths else sum(length or 0 for length in lengths)

    @cached_property
    def positions(self) -> int:
        """Single-character places when every counted repeat is written out: what an automaton costs."""
        return sum(item.positions for item in self.items)

    @cached_property
    def depth(self) -> int:
        """Nesting of the expression."""
        return 1 + max((item.depth for item in self.items), default=0)

    def json_regex(self) -> str:
        """See `Chars.json_regex`."""
        return "".join(item.json_regex() for item in self.items)


@dataclass(frozen=True)
class Alternation:
    """One of the branches; without branches: no text at all."""

    branches: tuple[Expression, ...]

    @cached_property
    def min_length(self) -> int:
        """Length of the shortest text."""
        return min((branch.min_length for branch in self.branches), default=0)

    @cached_property
    def max_length(self) -> int | None:
        """Length of the longest text; None when there is none."""
        lengths = [branch.max_length for branch in self.branches]
        return None if None in lengths else max((length or 0 for length in lengths), default=0)

    @cached_property
    def positions(self) -> int:
        """See `Sequence.positions`."""
        return sum(branch.positions for branch in self.branches)

    @cached_property
    def depth(self) -> int:
        """Nesting of the expression."""
        return 1 + max((branch.depth for branch in self.branches), default=0)

    def json_regex(self) -> str:
        """See `Chars.json_regex`."""
        return "(?:" + "|".join(branch.json_regex() for branch in self.branches) + ")"


@dataclass(frozen=True)
class Repeat:
    """`item` from `least` to `most` times; `most` None: without end."""

    item: Expression
    least: int
    most: int | None

    @cached_property
    def min_length(self) -> int:
        """Length of the shortest text."""
        return self.item.min_length * self.least

    @cached_property
    def max_length(self) -> int | None:
        """Length of the longest text; None when there is none."""
        if self.most == 0 or self.item.max_length == 0:
            return 0
        return None if self.most is None or self.item.max_length is None else self.item.max_length * self.most

    @cached_property
    def positions(self) -> int:
        """See `Sequence.positions`."""
        return self.item.positions * max(self.least, self.most or 1)

    @cached_property
    def depth(self) -> int:
        """Nesting of the expression."""
        return 1 + self.item.depth

    def json_regex(self) -> str:
        """See `Chars.json_regex`."""
        if (self.least, self.most) == (1, 1):
            return self.item.json_regex()
        return f"(?:{self.item.json_regex()})" + counted(self.least, self.most)


Expression = Chars | Sequence | Alternation | Repeat

ANY = Chars(ENCODABLE)
ANYTHING = Repeat(ANY, 0, None)
EMPTY = Sequence(())
NOTHING = Alternation(())


def counted(least: int, most: int | None) -> str:
    """The repeat operator of these bounds."""
    short = {(0, None): "*", (1, None): "+", (0, 1): "?"}
    return short.get((least, most)) or f"{{{least},{'' if most is None else most}}}"


def sequence(items: Iterable[Expression]) -> Expression:
    """A flat `Sequence`; `NOTHING` when an item is."""
    flat: list[Expression] = []
    for item in items:
        if item == NOTHING:
            return NOTHING
        flat.extend(item.items if isinstance(item, Sequence) else [item])
    return flat[0] if len(flat) == 1 else Sequence(tuple(flat))


def alternation(branches: Iterable[Expression]) -> Expression:
    """A flat `Alternation` without repeats, with single characters merged into one set."""
    flat: dict[Expression, None] = {}
    chars = CharSet(())
    for branch in branches:
        for leaf in branch.branches if isinstance(branch, Alternation) else (branch,):
            if isinstance(leaf, Chars):
                chars |= leaf.chars
            else:
                flat[leaf] = None
    merged: list[Expression] = [*([Chars(chars)] if chars else []), *flat]
    return merged[0] if len(merged) == 1 else Alternation(tuple(merged))


def repeat(item: Expression, least: int, most: int | None) -> Expression:
    """A `Repeat` with the trivial cases resolved."""
    if most == 0 or item == EMPTY:
        return EMPTY
    if item == NOTHING:
        return NOTHING if least else EMPTY
    if (least, most) == (1, 1):
        return item
    return Repeat(item, least, most)


def chars(members: CharSet) -> Expression:
    """The encodable members of a set; `NOTHING` when there are none."""
    encodable = members & ENCODABLE
    return Chars(encodable) if encodable else NOTHING
