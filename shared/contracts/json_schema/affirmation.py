"""What each keyword says of a value that satisfies it.

Every rule is an equivalence of JSON Schema (Draft 2020-12, Core 10 and Validation 6), written as a conjunction of steps
or as a fork between conjunctions.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import combinations

from shared.contracts.json_schema.fact import (
    Contains,
    Demand,
    Fork,
    Multiple,
    Names,
    Pattern,
    Presence,
    Scope,
    Step,
    Unevaluated,
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

AreDisjoint = Callable[[Demand, Demand], bool]
"""Whether no value that is generated for both demands exists; False: not proved."""

_Owners = frozenset[str]
_MAX_TOGETHER = 4


class Affirmation:
    """Takes schemas apart for values that satisfy them."""

    def __init__(self, reader: KeywordReader, are_disjoint: AreDisjoint) -> None:
        self._reader, self._are_disjoint = reader, are_disjoint
        self._rules: dict[str, Callable[[Entry, _Owners], list[Step] | None]] = {
            "type": self._type,
            "allOf": lambda entry, _: list(entry.parts()),
            "anyOf": self._any_of,
            "oneOf": lambda entry, _: [one_of(entry, self._are_disjoint)],
            "not": lambda entry, _: [Demand(entry.here, holds=False)],
            "if": self._condition,
            "contains": self._contains,
            "propertyNames": lambda entry, _: [Names(entry.here, Demand(entry.here))],
            "required": lambda entry, _: [Presence(entry.here, name) for name in entry.value],
            "uniqueItems": lambda entry, _: [Unique(entry.here)] if entry.value else [],
            "format": lambda e, _: [Pattern(e.here, e.value, is_format=True)] if e.value in PATTERNS else [],
            "pattern": lambda entry, _: [Pattern(entry.here, entry.value)],
            "multipleOf": lambda entry, _: [Multiple(entry.here, step(entry))],
            **dict.fromkeys(("enum", "const"), lambda entry, _: [Values(entry.here, values(entry))]),
            **dict.fromkeys(REFERENCES, self._reference),
            **dict.fromkeys(("dependentRequired", "dependentSchemas", "dependencies"), self._dependencies),
            **dict.fromkeys(MEMBERS, lambda entry, owners: [scope(entry, owners)]),
            **dict.fromkeys(PLACES, lambda entry, owners: [self._reader.items(entry, owners)]),
            **dict.fromkeys(("unevaluatedProperties", "unevaluatedItems"), self._unevaluated),
            **dict.fromkeys(SIZES, lambda entry, _: [size(entry)]),
            **dict.fromkeys(LIMITS, lambda entry, _: list(limits(entry))),
        }

    def steps(self, place: str, owners: _Owners) -> list[Step] | None:
        """What holds of a value that satisfies the schema; None when no value of this type does.

        `owners`: schemas that see what this one evaluates, this one included.
        """
        schema = self._reader.document.schema(place)
        if isinstance(schema, bool):
            return [] if schema else None
        found: list[Step] = []
        for entry in self._reader.entries(place):
            rule = self._rules.get(entry.keyword)  # none for what is read with another keyword: then, minContains
            steps = rule(entry, owners) if rule else []
            if steps is None:
                return None
            found += steps
        return found

    def _type(self, entry: Entry, owners: _Owners) -> list[Step] | None:
        integers = self._reader.is_integer_only(entry)
        if integers is None:
            return None
        return [Multiple(entry.here, Fraction(1))] if integers else []

    def _reference(self, entry: Entry, owners: _Owners) -> list[Step]:
        target = self._reader.follow(entry.place, entry.keyword)
        return [] if target is None else [Demand(target)]

    def _any_of(self, entry: Entry, owners: _Owners) -> list[Step]:
        parts = entry.parts()
        options: list[tuple[Step, ...]] = [(part,) for part in parts]
        if owners and len(parts) <= _MAX_TOGETHER:
            # What a value satisfies beyond the branch that was chosen is evaluated too.
            for count in range(2, len(parts) + 1):
                options += combinations(parts, count)
        return [Fork(entry.here, tuple(options))]

    def _condition(self, entry: Entry, owners: _Owners) -> list[Step]:
        # Even without a consequence, what `if` evaluates counts as evaluated.
        if "then" not in entry.schema and "else" not in entry.schema and not owners:
            return []
        options = []
        for branch, holds in (("then", True), ("else", False)):
            consequence = [Demand(f"{entry.place}/{branch}")] if branch in entry.schema else []
            options.append((Demand(entry.here, holds), *consequence))
        return [Fork(entry.here, tuple(options))]

    def _dependencies(self, entry: Entry, owners: _Owners) -> list[Step]:
        found: list[Step] = []
        for name, need in entry.value.items():
            place = f"{entry.here}/{escape(name)}"
            needs = [Presence(place, other) for other in need] if isinstance(need, list) else [Demand(place)]
            found.append(Fork(place, ((Presence(place, name, holds=False),), (Presence(place, name), *needs))))
        return found

    def _contains(self, entry: Entry, owners: _Owners) -> list[Step] | None:
        least, most = self._reader.contained(entry)
        if most is not None and most < least:
            return None
        return [Contains(entry.here, Demand(entry.here), least, most, owners)]

    def _unevaluated(self, entry: Entry, owners: _Owners) -> list[Step]:
        return [Unevaluated(entry.here, entry.place, Demand(entry.here), owners)]


def one_of(entry: Entry, are_disjoint: AreDisjoint) -> Fork:
    """`oneOf`: one branch holds, and each other that could hold beside it does not."""
    parts = entry.parts()
    options: list[tuple[Step, ...]] = []
    for part in parts:
        others = [other for other in parts if other != part and not are_disjoint(part, other)]
        options.append((part, *(Demand(other.place, holds=False) for other in others)))
    return Fork(entry.here, tuple(options))


def scope(entry: Entry, owners: _Owners) -> Scope:
    """`properties`, `patternProperties` and `additionalProperties`, which read each other."""
    schema, place = entry.schema, entry.place
    named = [
        tuple((name, Demand(f"{place}/{keyword}/{escape(name)}")) for name in schema.get(keyword, ()))
        for keyword in ("properties", "patternProperties")
    ]
    extra = Demand(f"{place}/additionalProperties") if "additionalProperties" in schema else None
    return Scope(place, named[0], named[1], extra, owners)
