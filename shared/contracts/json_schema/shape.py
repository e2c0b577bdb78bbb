"""Shapes: the values that a contract generates, by structure. A goal is met by the values of its shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.contracts.grammar.acceptor import Acceptor, acceptor
from shared.contracts.grammar.expression import Expression
from shared.contracts.json_schema.fact import Goal, Loose
from shared.lazy import cached_property


@dataclass(frozen=True, eq=False)
class LiteralShape:
    """Exactly one value; `text` is its canonical spelling."""

    value: Any  # Any: a JSON value
    text: str
    loose: tuple[Loose, ...] = ()


@dataclass(frozen=True, eq=False)
class ScalarShape:
    """The strings, or the numbers, whose text is in a language: a string's value, a number's canonical spelling."""

    kind: str
    language: Expression
    loose: tuple[Loose, ...] = ()

    @cached_property
    def acceptor(self) -> Acceptor:
        """Decides whether a text is in the language."""
        return acceptor(self.language)


@dataclass(frozen=True, eq=False)
class ArrayShape:
    """Lists of `least` to `most` items: `prefix` first, then any number that meet `rest` (None: no more).

    `contains`: a goal that one of the items meets; only where there is no prefix. `unique`: no two are equal.
    """

    prefix: tuple[Goal, ...]
    rest: Goal | None
    least: int
    most: int | None
    contains: Goal | None = None
    unique: str = ""
    """Place of the keyword that asks for it, or empty."""
    sizes: tuple[Loose, ...] = ()
    """What is loose should its length not be held."""
    loose: tuple[Loose, ...] = ()


@dataclass(frozen=True)
class MemberShape:
    """A member that the contract names."""

    name: str
    goal: Goal
    required: bool


@dataclass(frozen=True, eq=False)
class ExtraShape:
    """Members that the contract does not name: names of a language, each with a value that meets the goal."""

    names: Expression
    goal: Goal

    @cached_property
    def acceptor(self) -> Acceptor:
        """Decides whether a name is in the language."""
        return acceptor(self.names)


@dataclass(frozen=True, eq=False)
class ObjectShape:
    """Objects of `least` to `most` members: the named ones in this order, then others; none is in `absent`."""

    members: tuple[MemberShape, ...]
    absent: frozenset[str]
    extras: tuple[ExtraShape, ...]
    least: int
    most: int | None
    sizes: tuple[Loose, ...] = ()
    """What is loose should its number of members not be held."""
    loose: tuple[Loose, ...] = ()


Shape = LiteralShape | ScalarShape | ArrayShape | ObjectShape


def needs(shape: Shape) -> tuple[Goal, ...]:
    """The goals without which the shape has no values."""
    match shape:
        case ArrayShape():
            rest = shape.rest if shape.least > len(shape.prefix) else None
            return tuple(goal for goal in (*shape.prefix[: shape.least], rest, shape.contains) if goal is not None)
        case ObjectShape():
            return tuple(member.goal for member in shape.members if member.required)
    return ()


def children(shape: Shape) -> tuple[Goal, ...]:
    """Every goal that a shape speaks about."""
    match shape:
        case ArrayShape():
            return tuple(goal for goal in (*shape.prefix, shape.rest, shape.contains) if goal is not None)
        case ObjectShape():
            return (*(member.goal for member in shape.members), *(extra.goal for extra in shape.extras))
    return ()
