"""The values a schema allows, as a tree without keywords: what is spelled, counted and turned into an expression."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from shared.contracts.grammar.expression import Expression
from shared.contracts.grammar.language import Machine
from shared.contracts.json_schema.number import NumberRange, number_text


@dataclass(frozen=True, eq=False)
class LiteralNode:
    """Exactly one value."""

    pointer: str
    value: Any  # Any: a JSON value
    text: str


@dataclass(frozen=True, eq=False)
class NumberNode:
    """A number of a range; `integer` only says what to call it in messages."""

    pointer: str
    range: NumberRange
    integer: bool


@dataclass(frozen=True, eq=False)
class StringNode:
    """A string of a language; lengths count code points. `languages` is what `expression` is the intersection of."""

    pointer: str
    min_length: int
    max_length: int | None
    languages: tuple[Expression, ...]
    expression: Expression
    machines: tuple[Machine, ...]


@dataclass(frozen=True, eq=False)
class ArrayNode:
    """A list of one kind of items."""

    pointer: str
    item: Node
    min_items: int
    max_items: int | None


@dataclass(frozen=True)
class Property:
    """One member of an object."""

    name: str
    node: Node
    required: bool


@dataclass(frozen=True, eq=False)
class ObjectNode:
    """An object with its properties in this order. `closed`: the schema itself forbids all others."""

    pointer: str
    properties: tuple[Property, ...]
    closed: bool

    def property(self, name: str) -> Property | None:
        """The member of that name."""
        return next((member for member in self.properties if member.name == name), None)


@dataclass(frozen=True, eq=False)
class ChoiceNode:
    """One of several."""

    pointer: str
    branches: tuple[Node, ...]


Node = LiteralNode | NumberNode | StringNode | ArrayNode | ObjectNode | ChoiceNode


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
