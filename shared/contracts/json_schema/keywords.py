"""Which keywords the compiler knows, for which types, and what to do instead of the others."""

from __future__ import annotations

ANNOTATIONS = frozenset({
    "title", "description", "default", "examples", "$comment", "$schema", "$id", "deprecated", "readOnly", "writeOnly",
    "contentEncoding", "contentMediaType", "contentSchema",
})  # fmt: skip
"""Keywords without an effect on validity (Draft 2020-12, Validation 8 and 9)."""

DEFINITIONS = frozenset({"$defs", "definitions"})

TYPED = {
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "array": ("items", "minItems", "maxItems", "uniqueItems"),
    "object": ("properties", "required", "additionalProperties"),
    "boolean": (),
    "null": (),
}
"""Assertions by the type they speak about; they say nothing about values of other types."""

SHAPES = ("anyOf", "oneOf", "const", "enum", "type")

KNOWN = frozenset({"$ref", *SHAPES}).union(ANNOTATIONS, DEFINITIONS, *TYPED.values())

_INSTEAD = {
    "allOf": "merge the parts into one schema",
    "not": "list what is allowed (enum, anyOf) instead of what is not",
    "if": "write the cases as branches of anyOf",
    "then": "write the cases as branches of anyOf",
    "else": "write the cases as branches of anyOf",
    "patternProperties": "declare each key in properties",
    "propertyNames": "declare each key in properties",
    "dependentRequired": "write the cases as branches of anyOf",
    "dependentSchemas": "write the cases as branches of anyOf",
    "dependencies": "write the cases as branches of anyOf",
    "unevaluatedProperties": "use additionalProperties: false",
    "unevaluatedItems": "use items",
    "minProperties": "use required",
    "maxProperties": "leave properties out",
    "contains": "use items",
    "minContains": "use minItems",
    "maxContains": "use maxItems",
    "prefixItems": "use an object with one property per place",
    "additionalItems": "use items",
    "nullable": 'use "type": ["...", "null"]',
    "$dynamicRef": "use $ref",
    "$recursiveRef": "use $ref",
    "$anchor": "refer to definitions by path, as in #/$defs/name",
    "$dynamicAnchor": "refer to definitions by path, as in #/$defs/name",
    "id": "use $id, at the root only",
}


def refusal(keyword: str) -> str:
    """Why a keyword is refused and what to write instead."""
    if keyword in _INSTEAD:
        return f"{keyword} cannot be guaranteed: {_INSTEAD[keyword]}."
    return f"{keyword} is not a keyword that is known here: remove it, or correct its spelling."
