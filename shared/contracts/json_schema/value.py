"""JSON values: their types, their equality and their one spelling."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from shared.contracts.json_schema.number import number_text


def canonical_json(value: Any) -> str:  # Any: a JSON value
    """A value in compact JSON, in its own key order, non-ASCII raw, integral floats as integers.

    Raises `ValueError` for NaN, infinities and lone surrogates.
    """
    match value:
        case bool() | None | int():
            return json.dumps(value)
        case float() | Decimal():
            number = Decimal(repr(value)) if isinstance(value, float) else value
            spelled = number_text(number)
            if spelled is None and not (number.is_finite() and abs(float(number)) < float("inf")):
                raise ValueError("a number that is not finite")
            return spelled if spelled is not None else json.dumps(float(number))
        case str():
            text = json.dumps(value, ensure_ascii=False)
            text.encode()
            return text
        case list():
            return "[" + ",".join(canonical_json(item) for item in value) + "]"
    members = (f"{canonical_json(key)}:{canonical_json(item)}" for key, item in value.items())
    return "{" + ",".join(members) + "}"


def kind_of(value: Any) -> str:  # Any: a JSON value
    """The JSON type of a value: null, boolean, number, string, array or object."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float | Decimal):
        return "number"
    return {type(None): "null", str: "string", list: "array", dict: "object"}[type(value)]


def same_value(left: Any, right: Any) -> bool:  # Any: JSON values
    """Equality as JSON Schema has it: 1 equals 1.0, true does not equal 1, key order does not matter."""
    if kind_of(left) != kind_of(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same_value, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same_value(left[key], right[key]) for key in left)
    if kind_of(left) == "number":
        return Decimal(str(left)) == Decimal(str(right))
    return bool(left == right)
