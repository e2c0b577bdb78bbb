"""Which keywords hold schemas, which speak about which type, and which say nothing about validity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

ANNOTATIONS = frozenset({
    "title", "description", "default", "examples", "$comment", "$schema", "deprecated", "readOnly", "writeOnly",
    "contentEncoding", "contentMediaType", "contentSchema", "$vocabulary",
})  # fmt: skip
"""Keywords without an effect on validity (Draft 2020-12, Validation 8 and 9)."""

STRUCTURE = frozenset({"$defs", "definitions", "$id", "id", "$anchor", "$dynamicAnchor", "$recursiveAnchor"})
"""Keywords that only give other schemas a place or a name."""

TYPED = {
    "minLength": "string", "maxLength": "string", "pattern": "string", "format": "string",
    "minimum": "number", "maximum": "number", "exclusiveMinimum": "number", "exclusiveMaximum": "number",
    "multipleOf": "number",
    "items": "array", "prefixItems": "array", "additionalItems": "array", "unevaluatedItems": "array",
    "minItems": "array", "maxItems": "array", "uniqueItems": "array",
    "contains": "array", "minContains": "array", "maxContains": "array",
    "properties": "object", "patternProperties": "object", "additionalProperties": "object",
    "unevaluatedProperties": "object", "propertyNames": "object", "required": "object",
    "minProperties": "object", "maxProperties": "object",
    "dependentRequired": "object", "dependentSchemas": "object", "dependencies": "object",
}  # fmt: skip
"""Assertions by the type they speak about; they say nothing about values of other types."""

KINDS = ("object", "array", "string", "number", "boolean", "null")
"""The JSON types; an integer is a number."""

_ONE = frozenset({
    "additionalItems", "additionalProperties", "unevaluatedItems", "unevaluatedProperties", "propertyNames", "contains",
    "not", "if", "then", "else", "items",
})  # fmt: skip
_LIST = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})
_NAMED = frozenset({"properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions"})


def escape(name: str | int) -> str:
    """One token of a JSON Pointer (RFC 6901)."""
    return str(name).replace("~", "~0").replace("/", "~1")


def subschemas(schema: Any) -> Iterator[tuple[str, Any]]:  # Any: schemas
    """The schemas directly inside a schema, each with its place relative to it, a JSON Pointer."""
    for keyword, value in schema.items() if isinstance(schema, dict) else ():
        if keyword in _NAMED and isinstance(value, dict):
            found = [(f"/{escape(name)}", sub) for name, sub in value.items()]
        elif keyword in _LIST and isinstance(value, list):
            found = [(f"/{index}", sub) for index, sub in enumerate(value)]
        elif keyword in _ONE:
            found = [("", value)]
        else:
            continue
        yield from ((f"/{escape(keyword)}{rest}", sub) for rest, sub in found if isinstance(sub, dict | bool))
