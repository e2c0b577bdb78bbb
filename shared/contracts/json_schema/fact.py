"""What a schema says, taken apart: demands on values, and facts about values of one JSON type."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from shared.contracts.json_schema.number import Bound


@dataclass(frozen=True)
class Demand:
    """A subschema that a value must satisfy, or (`holds` false) must not. `place`: see `Document`."""

    place: str
    holds: bool = True


Goal = frozenset[Demand]
"""Demands that hold together; the empty goal is met by any value."""


@dataclass(frozen=True, eq=False)
class Values:
    """The value is one of these (`holds`), or none of them."""

    place: str
    values: tuple[Any, ...]  # Any: JSON values
    holds: bool = True


@dataclass(frozen=True)
class Limit:
    """An end of the range of a number."""

    place: str
    bound: Bound
    is_lower: bool


@dataclass(frozen=True)
class Multiple:
    """The number is a multiple of `step`, or is none."""

    place: str
    step: Fraction
    holds: bool = True


@dataclass(frozen=True)
class Length:
    """Code points of a string, items of an array or members of an object, whichever the value is."""

    place: str
    least: int = 0
    most: int | None = None


@dataclass(frozen=True)
class Pattern:
    """The string is in the language of an ECMA-262 pattern (`is_format`: of the format of that name), or is not."""

    place: str
    source: str
    holds: bool = True
    is_format: bool = False


@dataclass(frozen=True)
class Items:
    """What stands at the places of an array: `prefix` first, then `rest` (None: anything)."""

    place: str
    prefix: tuple[Demand | None, ...]
    rest: Demand | None
    under: frozenset[str]
    """Schemas with `unevaluatedItems` that see this as evaluated."""


@dataclass(frozen=True)
class Contains:
    """At least `least` and at most `most` items meet a demand."""

    place: str
    demand: Demand
    least: int
    most: int | None
    under: frozenset[str]


@dataclass(frozen=True)
class Unique:
    """No two items are equal, or two are."""

    place: str
    holds: bool = True


@dataclass(frozen=True)
class Scope:
    """What one schema object says about members by name (None: nothing).

    `extra` is about names that neither of the others knows.
    """

    place: str
    properties: tuple[tuple[str, Demand | None], ...]
    patterns: tuple[tuple[str, Demand | None], ...]
    extra: Demand | None
    under: frozenset[str]
    """Schemas with `unevaluatedProperties` that see these names as evaluated."""


@dataclass(frozen=True)
class Presence:
    """A member of that name is there, or is not."""

    place: str
    name: str
    holds: bool = True


@dataclass(frozen=True)
class Member:
    """The member of that name, if it is there, meets a demand."""

    place: str
    name: str
    demand: Demand


@dataclass(frozen=True)
class Names:
    """Every member's name meets a demand."""

    place: str
    demand: Demand


@dataclass(frozen=True)
class Unevaluated:
    """Members (of an object) or items (of an array) that nothing in the schema at `owner` evaluates meet a demand."""

    place: str
    owner: str
    demand: Demand
    under: frozenset[str]
    """Schemas with the same keyword that see what this one evaluates: all that is left."""


@dataclass(frozen=True)
class Loose:
    """Something that the grammar does not hold: it is checked on the finished text."""

    place: str
    why: str


Fact = (
    Values | Limit | Multiple | Length | Pattern | Items | Contains | Unique | Scope | Presence | Member | Names
    | Unevaluated | Loose
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Fork:
    """One of the options holds; each is a conjunction. `place` is the keyword that asks for it."""

    place: str
    options: tuple[tuple[Step, ...], ...]


Step = Demand | Fact | Fork
