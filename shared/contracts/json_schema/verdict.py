"""The fate of every keyword of a schema, by JSON Pointer: nothing is silent."""

from __future__ import annotations

from typing import Any

from shared.contracts.grammar.tracker import MAX_LEVEL
from shared.contracts.json_schema.document import Document
from shared.contracts.json_schema.formats import PATTERNS
from shared.contracts.json_schema.keyword_reader import REFERENCES
from shared.contracts.json_schema.keywords import ANNOTATIONS, STRUCTURE, TYPED, escape
from shared.contracts.json_schema.ledger import Ledger
from shared.contracts.json_schema.model import Model
from shared.contracts.report import KeywordVerdict

_NARROWED = "narrowed: only declared properties are generated"
_DIGITS = "generated without exponent, with at most 15 significant digits"
_RECURSION = f"recursion is generated to a depth of {MAX_LEVEL} nested references"


def report(
    document: Document, ledger: Ledger, model: Model, reached: set[str], *, narrowed: bool
) -> tuple[KeywordVerdict, ...]:
    """Verdicts for every keyword in the document's order; `ledger` already holds what is checked."""
    live = reached | {demand.place for goal in model.shapes for demand in goal}
    for place in document.places:
        schema = document.schema(place)
        if not isinstance(schema, dict):
            continue
        for keyword in schema:
            _judge(document, ledger, place, keyword, is_live=place in live)
        if narrowed and place in live and schema.get("properties") and "additionalProperties" not in schema:
            ledger.enforce(f"{place}/additionalProperties", _NARROWED)
    return tuple(ledger.verdicts.values())


def _judge(document: Document, ledger: Ledger, place: str, keyword: str, *, is_live: bool) -> None:
    schema: dict[str, Any] = document.schema(place)  # Any: JSON values
    pointer = f"{place}/{escape(keyword)}"
    if keyword in ANNOTATIONS or keyword in STRUCTURE:
        ledger.annotate(pointer)
    elif keyword not in document.dialect.keywords:
        ledger.annotate(pointer, f"not a keyword of {document.dialect.name}: it says nothing about values")
    elif document.dialect.hides_siblings and "$ref" in schema and keyword != "$ref":
        ledger.annotate(pointer, f"has no effect beside $ref in {document.dialect.name}")
    elif keyword == "format" and schema[keyword] not in PATTERNS:
        ledger.annotate(pointer, "this format is not asserted")
    elif not is_live:
        ledger.annotate(pointer, "nothing that is generated depends on it")
    elif _is_idle(schema, keyword):
        ledger.annotate(pointer, f"has no effect: no {TYPED[keyword]} is allowed here")
    else:
        ledger.enforce(pointer, _note(schema, keyword))


def _is_idle(schema: dict[str, Any], keyword: str) -> bool:  # Any: JSON values
    kind = TYPED.get(keyword)
    if kind is None or "type" not in schema:
        return False
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return kind not in {"number" if one == "integer" else one for one in types}


def _note(schema: dict[str, Any], keyword: str) -> str:  # Any: JSON values
    if keyword == "type" and "number" in (schema["type"], *schema["type"]):
        return _DIGITS
    return _RECURSION if keyword in REFERENCES else ""
