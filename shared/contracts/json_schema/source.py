"""The schema as written: parsed strictly, measured, and checked against the meta-schema."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

from shared.contracts.json_schema.dialect import Dialect, meta_validator
from shared.contracts.json_schema.keywords import escape
from shared.errors import FieldViolation, InvalidInput

MAX_SCHEMA_BYTES = 256 * 1024
MAX_SCHEMA_DEPTH = 64


class DuplicateKey(ValueError):
    """An object names a key twice."""


def parse_json(text: str, *, exact: bool) -> Any:  # Any: a JSON value
    """Strict RFC 8259: no duplicate keys, no NaN or infinity, no lone surrogates, finite numbers.

    `exact` reads fractions as `Decimal` in place of `float`. Raises `ValueError`.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_exact_number if exact else _finite_number,
        )
    except RecursionError as err:
        raise ValueError("it is nested too deeply") from err
    if "\\u" in text or "\\U" in text:
        try:
            json.dumps(value, ensure_ascii=False, default=str).encode()
        except UnicodeEncodeError as err:
            raise ValueError("a string holds half of a surrogate pair") from err
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:  # Any: JSON values
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DuplicateKey(f"the key {twice!r} is there twice")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite_number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is not finite")
    return number


def _exact_number(text: str) -> Decimal:
    _finite_number(text)
    return Decimal(text)


def parse_schema(text: str) -> dict[str, Any]:  # Any: a schema
    """The schema as a dictionary in its written order; raises `InvalidInput` (`CONTRACT_UNSUPPORTED`)."""
    size = len(text.encode("utf-8", "replace"))
    if size > MAX_SCHEMA_BYTES:
        raise _refused("", f"The schema has {size} bytes, the limit is {MAX_SCHEMA_BYTES}.", "CONTRACT_TOO_LARGE")
    try:
        schema = parse_json(text, exact=False)
        text.encode()
    except ValueError as err:
        raise _refused("", f"This is not a JSON document: {err}.") from err
    if not isinstance(schema, dict):
        raise _refused("", "The schema must be an object that says what an answer looks like.")
    depth = _depth(schema)
    if depth > MAX_SCHEMA_DEPTH:
        why = f"The schema is nested {depth} levels deep, the limit is {MAX_SCHEMA_DEPTH}."
        raise _refused("", why, "CONTRACT_TOO_LARGE")
    return schema


def _refused(pointer: str, why: str, reason: str = "CONTRACT_UNSUPPORTED") -> InvalidInput:
    return InvalidInput(reason, why, violations=[FieldViolation(f"json_schema#{pointer}", why)])


def _depth(value: Any) -> int:  # Any: a JSON value
    """Nesting, without recursion."""
    deepest, stack = 0, [(value, 1)]
    while stack:
        item, level = stack.pop()
        deepest = max(deepest, level)
        if isinstance(item, dict | list):
            stack.extend((child, level + 1) for child in (item.values() if isinstance(item, dict) else item))
    return deepest


def malformed(schema: dict[str, Any], dialect: Dialect) -> list[FieldViolation]:  # Any: a schema
    """Values of keywords that the meta-schema of the draft forbids."""
    errors = meta_validator(dialect).iter_errors(schema)
    paths = {tuple(error.absolute_path): error.message for error in errors}
    faults = []
    for path, message in paths.items():
        pointer = "".join(f"/{escape(part)}" for part in path)
        faults.append(FieldViolation(f"json_schema#{pointer}", f"Not a valid {dialect.name} schema: {message[:200]}."))
    return faults
