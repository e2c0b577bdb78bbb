"""What affirming and denying a keyword have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from shared.contracts.json_schema.document import Document
from shared.contracts.json_schema.fact import Demand, Items, Length, Limit
from shared.contracts.json_schema.keywords import TYPED
from shared.contracts.json_schema.number import Bound

Schema = dict[str, Any]  # Any: JSON values, checked against the meta-schema before
MEMBERS = ("properties", "patternProperties", "additionalProperties")
PLACES = ("prefixItems", "items", "additionalItems")
SIZES = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


@dataclass(frozen=True)
class Entry:
    """One keyword of one schema."""

    keyword: str
    schema: Schema
    place: str

    @property
    def value(self) -> Any:  # Any: a JSON value
        """What the keyword says."""
        return self.schema[self.keyword]

    @property
    def here(self) -> str:
        """Place of the keyword."""
        return f"{self.place}/{self.keyword}"

    def parts(self, *, holds: bool = True) -> list[Demand]:
        """Demands for each schema of a list."""
        return [Demand(f"{self.here}/{index}", holds) for index in range(len(self.value))]


class KeywordReader:
    """Reads the schemas of one document for values of one type. `follow` resolves references, see `Follower`."""

    def __init__(self, document: Document, kind: str, follow: Callable[[str, str], str | None]) -> None:
        self.document, self.kind, self.follow = document, kind, follow
        self._keywords = document.dialect.keywords

    def entries(self, place: str) -> Iterator[Entry]:
        """The keywords at a place that say something about this type; those that are read together, once."""
        schema: Schema = self.document.schema(place)
        if self.document.dialect.hides_siblings and "$ref" in schema:
            yield Entry("$ref", schema, place)
            return
        words = [w for w in schema if w in self._keywords and TYPED.get(w, self.kind) == self.kind]
        for group in (MEMBERS, PLACES):
            together = [word for word in words if word in group]
            words = [word for word in words if word not in together[1:]]
        yield from (Entry(word, schema, place) for word in words)

    def is_integer_only(self, entry: Entry) -> bool | None:
        """Whether `type` allows integers only; None when it does not allow this type at all."""
        kinds = [entry.value] if isinstance(entry.value, str) else entry.value
        if self.kind in kinds:
            return False
        return True if self.kind == "number" and "integer" in kinds else None

    def items(self, entry: Entry, owners: frozenset[str]) -> Items:
        """What the keywords about items say together."""
        schema, place = entry.schema, entry.place
        split = self.document.dialect.is_array_split
        items = schema.get("items")
        first = "items" if split else "prefixItems"
        prefix = schema.get(first) if isinstance(schema.get(first), list) else None
        rest = None
        if split and isinstance(items, list):
            rest = Demand(f"{place}/additionalItems") if "additionalItems" in schema else None
        elif isinstance(items, dict | bool):
            rest = Demand(f"{place}/items")
        return Items(place, tuple(Demand(f"{place}/{first}/{i}") for i in range(len(prefix or ()))), rest, owners)

    def contained(self, entry: Entry) -> tuple[int, int | None]:
        """How many items `contains` asks for, at least and at most; drafts before 2019-09 count none."""
        least, most = (
            entry.schema.get(word) if word in self._keywords else None for word in ("minContains", "maxContains")
        )
        return 1 if least is None else int(least), None if most is None else int(most)


def size(entry: Entry) -> Length:
    """`minLength` and its like."""
    value = int(entry.value)
    return Length(entry.here, value) if entry.keyword.startswith("min") else Length(entry.here, 0, value)


def limits(entry: Entry) -> list[Limit]:
    """The end of a range that a keyword gives; draft-04's `exclusiveMinimum: true` belongs to `minimum`."""
    if isinstance(entry.value, bool):
        return []
    base = entry.keyword.removeprefix("exclusive").lower()
    strict = entry.keyword.startswith("exclusive") or entry.schema.get(f"exclusive{base.capitalize()}") is True
    return [Limit(entry.here, Bound(Fraction(Decimal(str(entry.value))), strict), base == "minimum")]


def values(entry: Entry) -> tuple[Any, ...]:  # Any: JSON values
    """What `enum` or `const` lists."""
    return tuple(entry.value) if entry.keyword == "enum" else (entry.value,)


def step(entry: Entry) -> Fraction:
    """What `multipleOf` divides by."""
    return Fraction(Decimal(str(entry.value)))
