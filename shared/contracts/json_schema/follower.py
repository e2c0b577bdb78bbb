"""Follows references, and brings goals to the one form in which they are compared."""

from __future__ import annotations

from shared.contracts.json_schema.document import Document
from shared.contracts.json_schema.fact import Demand, Goal
from shared.contracts.json_schema.keywords import ANNOTATIONS, STRUCTURE
from shared.contracts.json_schema.ledger import Ledger

_SILENT = ANNOTATIONS | STRUCTURE


class Follower:
    """Resolves the references of one document; what it cannot follow is a fault in the ledger."""

    def __init__(self, document: Document, ledger: Ledger) -> None:
        self._document, self._ledger = document, ledger
        self.reached: set[str] = set()
        """Places that some goal was about, or that were passed on the way."""

    def target(self, place: str, keyword: str) -> str | None:
        """The place that a reference means; None after a fault."""
        schema = self._document.schema(place)
        reference: str = schema[keyword]
        found = self._document.target(place, reference)
        if found is None:
            self._ledger.refuse(
                f"{place}/{keyword}",
                f"{reference!r} is not the place of a schema in this document: external references are not fetched.",
            )
        elif keyword == "$dynamicRef" and len(self._document.dynamic_anchors.get(reference.lstrip("#"), [])) > 1:
            self._ledger.refuse(f"{place}/{keyword}", f"{reference!r} means several schemas: use $ref.")
        self.reached.add(place)
        return found

    def goal(self, goal: Goal) -> Goal:
        """The same goal without demands that any value meets, and with plain references followed."""
        found = set()
        for demand in goal:
            place = self._followed(demand.place)
            schema = self._document.schema(place)
            self.reached.add(place)
            is_silent = schema is True or (isinstance(schema, dict) and schema.keys() <= _SILENT)
            if not (is_silent and demand.holds) and not (schema is False and not demand.holds):
                found.add(Demand(place, demand.holds))
        return frozenset(found)

    def _followed(self, place: str) -> str:
        passed = {place}
        while True:
            schema = self._document.schema(place)
            if not isinstance(schema, dict) or "$ref" not in schema:
                return place
            if not self._document.dialect.hides_siblings and not schema.keys() <= _SILENT | {"$ref"}:
                return place
            target = self.target(place, "$ref")
            if target is None or target in passed:
                return place
            place = target
            passed.add(place)
