"""Literals in the one spelling of canonical SQL, by the kind of the column beside them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from sqlglot import exp

from shared.contracts.sql.part import NUMBER, date_literal, python_regex
from shared.contracts.sql.refusal import violated
from shared.contracts.sql.schema import ColumnKind

_DATE = re.compile(python_regex(date_literal()))
_NUMBER = re.compile(python_regex(NUMBER.expression))
_READABLE = re.compile(r" *[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,2})? *", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_Node = Any  # sqlglot ships no usable types


def literal_value(node: _Node) -> tuple[ColumnKind, str] | None:
    """Kind and raw value of a literal; None when the node is something else."""
    node = node.unnest()
    if isinstance(node, exp.Literal):
        return (ColumnKind.TEXT if node.is_string else ColumnKind.NUMBER), node.this
    if isinstance(node, exp.Neg):
        inner = literal_value(node.this)
        if inner is not None and inner[0] is ColumnKind.NUMBER and not inner[1].startswith("-"):
            return ColumnKind.NUMBER, "-" + inner[1]
    if isinstance(node, exp.Boolean):
        return ColumnKind.NUMBER, "1" if node.this else "0"
    return None


def write_value(value: tuple[ColumnKind, str], kind: ColumnKind, column: str, *, is_strict: bool = False) -> str:
    """The literal as it stands beside a column of `kind`.

    SQLite compares under the column's affinity, so `text = 5` is `text = '5'` and `number = '5'` is `number = 5`; in
    strict dialects such comparisons are refused.
    """
    own, raw = value
    if kind is ColumnKind.BOOLEAN and own is ColumnKind.NUMBER and raw in ("0", "1"):
        return "TRUE" if raw == "1" else "FALSE"
    if kind is ColumnKind.DATE and own is ColumnKind.TEXT and _DATE.fullmatch(f"'{raw}'"):
        return f"'{raw}'"
    if kind in (ColumnKind.BOOLEAN, ColumnKind.DATE, ColumnKind.OTHER):
        expected = {ColumnKind.BOOLEAN: "TRUE or FALSE", ColumnKind.DATE: "a date 'YYYY-MM-DD'"}.get(kind, "no literal")
        raise violated([f"{column} is compared with {raw[:40]!r}; the language has {expected} there"])
    if is_strict and own is not kind:
        raise violated([f"{column} is compared with {raw[:40]!r}: a number and a text"])
    if own is ColumnKind.TEXT and kind is not ColumnKind.NUMBER:
        return write_text(raw)
    if own is ColumnKind.NUMBER and kind is ColumnKind.TEXT:
        return f"'{_number_as_text(write_number(raw, column))}'"
    return write_number(raw, column)


def _number_as_text(number: str) -> str:
    """What SQLite makes of the number under TEXT affinity: 007 is '7', 1.50 is '1.5', 2.0 is '2.0'."""
    text = repr(float(number)) if "." in number else str(int(number))
    if "e" in text:
        raise violated([f"the number {number} beside a text column"])
    return text


def write_text(raw: str) -> str:
    """A string in single quotes."""
    if _CONTROL.search(raw):
        raise violated(["a string literal holds control characters or half of a surrogate pair"])
    return "'" + raw.replace("'", "''") + "'"


def write_number(raw: str, column: str) -> str:
    """A plain decimal number: no exponent, at most 12 digits before the point and 6 behind it."""
    if _NUMBER.fullmatch(raw):
        return raw
    if len(raw) > 40 or not _READABLE.fullmatch(raw):
        raise violated([f"{column} holds numbers and is compared with {raw[:40]!r}"])
    number = format(Decimal(raw.strip()), "f")
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    if not _NUMBER.fullmatch(number):
        raise violated([f"the number {raw[:40]} has more than 12 digits before the point or 6 behind it"])
    return number
