"""Reads the keywords of strings and numbers."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from shared.contracts.grammar.expression import ANYTHING, NOTHING, Expression
from shared.contracts.grammar.language import Machine, TooComplex, intersect
from shared.contracts.grammar.pattern import PatternError, parse_pattern
from shared.contracts.json_schema.formats import PATTERNS, format_expression
from shared.contracts.json_schema.ledger import Ledger
from shared.contracts.json_schema.node import NumberNode, StringNode
from shared.contracts.json_schema.number import Bound, NumberRange

_Schema = dict[str, Any]  # Any: JSON values, checked against the meta-schema before
_HUGE_EXPONENT = 400
_MAX_STEP = 14


def read_string(schema: _Schema, pointer: str, ledger: Ledger) -> StringNode | None:
    """The strings of a schema; None after a fault."""
    least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
    most = None if most is None else int(most)
    for keyword in ("minLength", "maxLength"):
        if keyword in schema:
            ledger.enforce(f"{pointer}/{keyword}", "counts code points")
    if most is not None and most < least:
        ledger.refuse(f"{pointer}/maxLength", f"No string has at least {least} and at most {most} characters.")
        return None
    languages = _languages(schema, pointer, ledger)
    if languages is None:
        return None
    try:
        expression = intersect(languages, least, most)
        machines = tuple(Machine.of(language) for language in languages if language != ANYTHING)
    except TooComplex as err:
        place = next(k for k in ("pattern", "format", "maxLength", "minLength") if k in schema)
        ledger.refuse(
            f"{pointer}/{place}",
            f"The pattern or format cannot be combined with the length: {err}. Put the length into the pattern (as "
            "in ^[a-z]{1,20}$), anchor it with ^ and $, or drop minLength and maxLength.",
        )
        return None
    if expression == NOTHING:
        ledger.refuse(f"{pointer}/{'pattern' if 'pattern' in schema else 'format'}", "No string satisfies this schema.")
        return None
    return StringNode(pointer, least, most, languages, expression, machines)


def _languages(schema: _Schema, pointer: str, ledger: Ledger) -> tuple[Expression, ...] | None:
    languages: list[Expression] = []
    if "pattern" in schema:
        try:
            languages.append(parse_pattern(schema["pattern"]))
        except PatternError as err:
            ledger.refuse(f"{pointer}/pattern", f"This pattern cannot be guaranteed: {err}.")
            return None
        ledger.enforce(f"{pointer}/pattern")
    name = schema.get("format")
    if name in PATTERNS:
        languages.append(format_expression(name))
        ledger.enforce(f"{pointer}/format")
    elif name is not None:
        ledger.annotate(f"{pointer}/format", f"{name!r} is not among the enforced formats: {', '.join(PATTERNS)}")
    return tuple(languages)


def read_number(schema: _Schema, pointer: str, ledger: Ledger, *, integer: bool) -> NumberNode | None:
    """The numbers of a schema; None after a fault."""
    faults = len(ledger.faults)
    low = _tighter(_bound(schema, "minimum", pointer, ledger), _bound(schema, "exclusiveMinimum", pointer, ledger), 1)
    high = _tighter(_bound(schema, "maximum", pointer, ledger), _bound(schema, "exclusiveMaximum", pointer, ledger), -1)
    digits = 0 if integer else 15
    if "multipleOf" in schema:
        digits = min(digits, _step_digits(schema["multipleOf"], pointer, ledger))
    if len(ledger.faults) > faults:
        return None
    numbers = NumberRange(low, high, digits)
    if numbers.regex() is None:
        place = next((k for k in ("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum") if k in schema), "type")
        kind = "integer" if integer else "number"
        ledger.refuse(f"{pointer}/{place}", f"No {kind} of at most 15 digits lies within these bounds.")
        return None
    return NumberNode(pointer, numbers, integer)


def _bound(schema: _Schema, keyword: str, pointer: str, ledger: Ledger) -> Bound | None:
    if keyword not in schema:
        return None
    number = Decimal(str(schema[keyword]))
    if number and abs(number.adjusted()) > _HUGE_EXPONENT:
        ledger.refuse(f"{pointer}/{keyword}", f"{schema[keyword]} is beyond what a double can hold.")
        return None
    ledger.enforce(f"{pointer}/{keyword}")
    return Bound(Fraction(number), exclusive=keyword.startswith("exclusive"))


def _tighter(one: Bound | None, two: Bound | None, sign: int) -> Bound | None:
    if one is None or two is None:
        return one or two
    return max(one, two, key=lambda bound: (sign * bound.value, bound.exclusive))


def _step_digits(step: float, pointer: str, ledger: Ledger) -> int:
    number = Decimal(str(step))
    exponent = number.adjusted()
    if number != Decimal(10) ** exponent or abs(exponent) > _MAX_STEP:
        ledger.refuse(
            f"{pointer}/multipleOf",
            f"multipleOf {step} cannot be guaranteed: only powers of ten can (0.01, 1, 100). Remove it, or list the "
            "values with enum.",
        )
        return 0
    ledger.enforce(f"{pointer}/multipleOf")
    return -exponent
