"""Contracts that a hostile tenant would register: each must be answered within the limits of a compilation."""

from __future__ import annotations

import json
from typing import Any

from shared.contracts.spec import ContractKind, ContractSpec, SqlProfile, UndeclaredProperties

Json = Any  # JSON values


def _json(schema: Json) -> ContractSpec:
    text = schema if isinstance(schema, str) else json.dumps(schema)
    return ContractSpec(ContractKind.JSON, text, undeclared_properties=UndeclaredProperties.AS_WRITTEN)


def _sql(ddl: str, **options: Any) -> ContractSpec:  # Any: fields of a spec
    return ContractSpec(ContractKind.SQL, ddl=ddl, **options)


def _pattern(source: str) -> Json:
    return {"type": "string", "pattern": source}


def _closed(properties: Json, *, required: bool = True) -> Json:
    names = list(properties) if required else []
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}


def _nested(depth: int) -> Json:
    """Objects with four optional members, each holding the next level."""
    schema: Json = {"type": "null"}
    for _ in range(depth):
        schema = _closed(dict.fromkeys("abcd", schema), required=False)
    return schema


_LAUGHS = {f"d{n}": _closed({k: {"$ref": f"#/$defs/d{n + 1}"} for k in "ab"}) for n in range(20)}
_TABLE = "CREATE TABLE t{n} (id INTEGER PRIMARY KEY, a TEXT, b REAL, other INTEGER REFERENCES t{m}(id));"

SPECS: dict[str, ContractSpec] = {
    "long string": _json({"type": "string", "maxLength": 1_000_000}),
    "string between lengths": _json({"type": "string", "minLength": 2_000, "maxLength": 2_000}),
    "long array": _json({"type": "array", "items": {"type": "null"}, "minItems": 100_000}),
    "array of objects": _json(
        {"type": "array", "maxItems": 1_000, "items": _closed({n: {"type": "string"} for n in "abc"}, required=False)}
    ),
    "huge enum": _json({"enum": [f"value {n}" for n in range(15_000)]}),
    "many optional strings": _json(
        _closed({f"p{n}": {"type": "string", "maxLength": 300} for n in range(100)}, required=False)
    ),
    "nested optional members": _json(_nested(6)),
    "deep text": _json("[" * 50_000),
    "deep keys": _json('{"a":' * 3_000 + "1" + "}" * 3_000),
    "repeated repeat": _json(_pattern("(a{1,100}){1,100}")),
    "exponential pattern": _json(_pattern("^[ab]*a[ab]{18}$")),
    "catastrophic pattern": _json(_pattern("^(a+)+$")),
    "deep pattern": _json(_pattern("(" * 500 + "a" + ")" * 500)),
    "patterns that meet": _json({"allOf": [_pattern(f"[a-z]{{{n}}}.*[0-9]{{{n}}}") for n in range(2, 9)]}),
    "excluded patterns": _json({"type": "string", "not": {"anyOf": [_pattern(f"a.{{{n}}}b") for n in range(12)]}}),
    "billion laughs": _json({"$defs": {**_LAUGHS, "d20": {"type": "null"}}, "$ref": "#/$defs/d0"}),
    "alternatives of alternatives": _json(
        {"allOf": [{"anyOf": [{"required": [f"{n}{c}"]} for c in "abcd"]} for n in range(12)], "type": "object"}
    ),
    "one of many that overlap": _json({"oneOf": [{"required": [f"k{n}"], "minProperties": n} for n in range(40)]}),
    "negated conditions": _json(
        {"not": {"allOf": [{"if": {"required": [f"a{n}"]}, "then": {"required": [f"b{n}"]}} for n in range(30)]}}
    ),
    "crossing pattern properties": _json(
        {"type": "object", "patternProperties": {f"{c}.{{0,9}}{d}": {"type": "null"} for c in "abcd" for d in "efgh"}}
    ),
    "endless reference": _json({"allOf": [{"$ref": "#"}]}),
    "unique items of a long list": _json(
        {"type": "array", "items": {"enum": list(range(400))}, "uniqueItems": True, "minItems": 399}
    ),
    "counted open map": _json({"type": "object", "minProperties": 500, "additionalProperties": {"type": "null"}}),
    "choices": ContractSpec(ContractKind.CHOICE, choices=tuple(f"{n} {'x' * 900}" for n in range(500))),
    "regex": ContractSpec(ContractKind.REGEX, pattern="(?:[a-z]{1,40} ){1,200}[0-9]{50}"),
    "many tables": _sql("".join(_TABLE.format(n=n, m=n // 2) for n in range(300))),
    "many tables, nested": _sql("".join(_TABLE.format(n=n, m=n // 2) for n in range(60)), profile=SqlProfile.NESTED),
    "many columns": _sql(f"CREATE TABLE t ({', '.join(f'c{n} TEXT' for n in range(2_000))});"),
    "a megabyte": _sql("CREATE TABLE t (a TEXT);" + "-- nothing\n" * 100_000),
    "deep expression": _sql(f"CREATE TABLE t (a INTEGER DEFAULT {'(' * 2_000}1{')' * 2_000});"),
    "no table": _sql("DROP TABLE t; ATTACH 'x' AS y;"),
    "strange names": _sql('CREATE TABLE "a""b; --" ("x\ny" TEXT, "SELECT" TEXT, "" TEXT);'),
}
