"""What each keyword says of a value that does not satisfy it: options, one of which holds.

What has no exact form becomes `Loose`: the grammar allows more, and the finished text is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import combinations

from shared.contracts.json_schema.fact import (
    Contains,
    Demand,
    Fork,
    Items,
    Length,
    Limit,
    Loose,
    Member,
    Multiple,
    Pattern,
    Presence,
    Step,
    Unique,
    Values,
)
from shared.contracts.json_schema.formats import PATTERNS
from shared.contracts.json_schema.keyword_reader import (
    LIMITS,
    MEMBERS,
    PLACES,
    REFERENCES,
    SIZES,
    Entry,
    KeywordReader,
    limits,
    size,
    step,
    values,
)
from shared.contracts.json_schema.keywords import escape
from shared.contracts.json_schema.number import Bound

_Options = Iterator[list[Step]]
_NOBODY: frozenset[str] = frozenset()
_WHY = "its negation is not generated"


class Denial:
    """Takes schemas apart for values that do not satisfy them."""

    def __init__(self, reader: KeywordReader) -> None:
        self._reader = reader
        self._rules: dict[str, Callable[[Entry], _Options]] = {
            "type": self._type,
            "allOf": lambda entry: ([part] for part in entry.parts(holds=False)),
            "anyOf": lambda entry: iter([list(entry.parts(holds=False))]),
            "oneOf": _not_one,
            "not": lambda entry: iter([[Demand(entry.here)]]),
            "if": _broken_condition,
            "contains": self._contains,
            "required": lambda e: ([Presence(e.here, name, holds=False)] for name in e.value),
            "uniqueItems": lambda e: iter([[Unique(e.here, holds=False)]] if e.value else []),
            "format": _format,
            "pattern": lambda e: iter([[Pattern(e.here, e.value, holds=False)]]),
            "multipleOf": lambda e: iter([[Multiple(e.here, step(e), holds=False)]]),
            **dict.fromkeys(("enum", "const"), lambda e: iter([[Values(e.here, values(e), holds=False)]])),
            **dict.fromkeys(REFERENCES, self._reference),
            **dict.fromkeys(("dependentRequired", "dependentSchemas", "dependencies"), _broken_dependencies),
            **dict.fromkeys(MEMBERS, _broken_members),
            **dict.fromkeys(PLACES, self._broken_items),
            **dict.fromkeys(("propertyNames", "unevaluatedProperties", "unevaluatedItems"), _loosely),
            **dict.fromkeys(SIZES, _wrong_size),
            **dict.fromkeys(LIMITS, _beyond),
        }

    def steps(self, place: str) -> list[Step] | None:
        """What holds of a value that does not satisfy the schema; None when every value of this type does."""
        schema = self._reader.document.schema(place)
        if isinstance(schema, bool):
            return None if schema else []
        options: list[tuple[Step, ...]] = []
        for entry in self._reader.entries(place):
            rule = self._rules.get(entry.keyword)
            for option in rule(entry) if rule else ():
                if not option:
                    return []
                options.append(tuple(option))
        if not options:
            return None
        return list(options[0]) if len(options) == 1 else [Fork(place, tuple(options))]

    def _type(self, entry: Entry) -> _Options:
        integers = self._reader.is_integer_only(entry)
        if integers is None:
            yield []
        elif integers:
            yield [Multiple(entry.here, Fraction(1), holds=False)]

    def _reference(self, entry: Entry) -> _Options:
        target = self._reader.follow(entry.place, entry.keyword)
        if target is not None:
            yield [Demand(target, holds=False)]

    def _contains(self, entry: Entry) -> _Options:
        least, most = self._reader.contained(entry)
        if least == 1:
            yield [Items(entry.here, (), Demand(entry.here, holds=False), _NOBODY)]
        elif least > 1:
            yield [Loose(entry.here, _WHY)]
        if most is not None:
            yield [Contains(entry.here, Demand(entry.here), most + 1, None, _NOBODY)]

    def _broken_items(self, entry: Entry) -> _Options:
        items = self._reader.items(entry, _NOBODY)
        for index, demand in enumerate(items.prefix):
            if demand is not None:
                wrong = (*(None,) * index, Demand(demand.place, holds=False))
                yield [Length(entry.place, index + 1), Items(entry.place, wrong, None, _NOBODY)]
        if items.rest is not None and items.prefix:
            yield [Length(entry.place, len(items.prefix) + 1), Loose(items.rest.place, _WHY)]
        elif items.rest is not None:
            yield [Contains(entry.place, Demand(items.rest.place, holds=False), 1, None, _NOBODY)]


def _not_one(entry: Entry) -> _Options:
    yield list(entry.parts(holds=False))
    for pair in combinations(entry.parts(), 2):
        yield list(pair)


def _broken_condition(entry: Entry) -> _Options:
    for branch, holds in (("then", True), ("else", False)):
        if branch in entry.schema:
            yield [Demand(entry.here, holds), Demand(f"{entry.place}/{branch}", holds=False)]


def _broken_dependencies(entry: Entry) -> _Options:
    for name, need in entry.value.items():
        place = f"{entry.here}/{escape(name)}"
        if isinstance(need, list):
            for other in need:
                yield [Presence(place, name), Presence(place, other, holds=False)]
        else:
            yield [Presence(place, name), Demand(place, holds=False)]


def _broken_members(entry: Entry) -> _Options:
    for name in entry.schema.get("properties", ()):
        here = f"{entry.place}/properties/{escape(name)}"
        yield [Presence(here, name), Member(here, name, Demand(here, holds=False))]
    for keyword in ("patternProperties", "additionalProperties"):
        if entry.schema.get(keyword, True) not in (True, {}):
            here = f"{entry.place}/{keyword}"
            yield [Length(here, 1), Loose(here, _WHY)]


def _format(entry: Entry) -> _Options:
    if entry.value in PATTERNS:
        yield [Pattern(entry.here, entry.value, holds=False, is_format=True)]


def _loosely(entry: Entry) -> _Options:
    yield [Length(entry.here, 1), Loose(entry.here, _WHY)]


def _wrong_size(entry: Entry) -> _Options:
    found = size(entry)
    if found.most is not None:
        yield [Length(entry.here, found.most + 1)]
    elif found.least:
        yield [Length(entry.here, 0, found.least - 1)]


def _beyond(entry: Entry) -> _Options:
    for limit in limits(entry):
        yield [Limit(entry.here, Bound(limit.bound.value, not limit.bound.exclusive), not limit.is_lower)]
