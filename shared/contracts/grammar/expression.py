"""Regular expressions over code points, with references to the rules of a grammar: the form in which languages meet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared.contracts.grammar.charset import ENCODABLE, CharSet
from shared.lazy import cached_property


@dataclass(frozen=True)
class Chars:
    """One character out of a set; an empty set matches nothing."""

    chars: CharSet
    min_length = 1
    max_length = 1
    positions = 1
    depth = 1


@dataclass(frozen=True)
class Text:
    """Exactly this text."""

    text: str
    depth = 1

    @property
    def min_length(self) -> int:
        """Length of the shortest text."""
        return len(self.text)

    @property
    def max_length(self) -> int | None:
        """Length of the longest text; None when there is none."""
        return len(self.text)

    @property
    def positions(self) -> int:
        """See `Sequence.positions`."""
        return len(self.text)


@dataclass(frozen=True)
class Reference:
    """Whatever the rule of that name matches; lengths and costs are unknown here and count as nothing."""

    rule: str
    min_length = 0
    max_length = None
    positions = 1
    depth = 1


@dataclass(frozen=True)
class Sequence:
    """One after the other; without items: the empty text."""

    items: tuple[Expression, ...]

    def __hash__(self) -> int:
        """Computed once: expressions are deep, and asked for theirs again and again."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(("Sequence", self.items))

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


@dataclass(frozen=True)
class Alternation:
    """One of the branches; without branches: no text at all."""

    branches: tuple[Expression, ...]

    def __hash__(self) -> int:
        """Computed once: expressions are deep, and asked for theirs again and again."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(("Alternation", self.branches))

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


@dataclass(frozen=True)
class Repeat:
    """`item` from `least` to `most` times; `most` None: without end."""

    item: Expression
    least: int
    most: int | None

    def __hash__(self) -> int:
        """Computed once: expressions are deep, and asked for theirs again and again."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(("Repeat", (self.item, self.least, self.most)))

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


Expression = Chars | Text | Reference | Sequence | Alternation | Repeat

ANY = Chars(ENCODABLE)
ANYTHING = Repeat(ANY, 0, None)
EMPTY = Sequence(())
NOTHING = Alternation(())


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


def optional(item: Expression) -> Expression:
    """`item` or nothing."""
    return repeat(item, 0, 1)


def chars(members: CharSet) -> Expression:
    """The encodable members of a set; `NOTHING` when there are none."""
    encodable = members & ENCODABLE
    return Chars(encodable) if encodable else NOTHING


def references(expression: Expression) -> Iterator[str]:
    """The names of the rules that an expression refers to, each occurrence, in order."""
    match expression:
        case Reference(rule):
            yield rule
        case Sequence(parts) | Alternation(parts):
            for part in parts:
                yield from references(part)
        case Repeat(item):
            yield from references(item)


def regex(expression: Expression) -> str:
    """The expression in the dialect of Rust's regex-automata, which llguidance reads as well; it refers to no rule."""
    match expression:
        case Chars(members):
            return members.regex()
        case Text(text):
            return literal(text)
        case Sequence(items):
            return "".join(regex(item) for item in items)
        case Alternation(branches):
            return "(?:" + "|".join(regex(branch) for branch in branches) + ")" if branches else r"[^\s\S]"
        case Repeat(item, least, most):
            return f"(?:{regex(item)})" + _counted(least, most)
        case Reference(rule):
            raise ValueError(f"the rule {rule} is not written out")


def literal(text: str) -> str:
    """A regular expression for exactly this text."""
    return re.sub(r"[^A-Za-z0-9_]", lambda found: rf"\x{{{ord(found[0]):X}}}", text)


def _counted(least: int, most: int | None) -> str:
    short = {(0, None): "*", (1, None): "+", (0, 1): "?"}
    return short.get((least, most)) or f"{{{least},{'' if most is None else most}}}"
