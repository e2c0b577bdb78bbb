"""500 golden outputs with answers, right and wrong in the ways of models, small enough to check by hand."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from shared.contracts.check import check_output
from shared.contracts.spec import ContractKind, ContractSpec
from trainer_svc.domain.row_score import Generated, RowScore
from trainer_svc.evaluation.score import score_rows

_SEED = 20_261_123
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "total": {"type": "number"},
        "open": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"item": {"type": "string"}, "count": {"type": "integer"}, "price": {"type": "number"}},
            },
        },
    },
}
JSON = ContractSpec(ContractKind.JSON, json_schema=json.dumps(SCHEMA))
SQL = ContractSpec(ContractKind.SQL, ddl="CREATE TABLE t (a INTEGER, b TEXT);")
TEXT = ContractSpec(ContractKind.TEXT)
CHOICE = ContractSpec(ContractKind.CHOICE, choices=("cancel", "change", "complain", "confirm"))
_EDITS = (
    (">=", ">"), (">", ">="), ("<", "<="), ("= ", "<> "), ("AND", "OR"), ("1", "2"), ("'x'", "'y'"), ("MIN", "MAX"),
    ("COUNT(*)", "COUNT(a)"), ("DISTINCT ", ""), (" DESC", ""), ("a", "b"), ("t", "t AS u"),
)  # fmt: skip
"""Of a statement: what models get wrong, and one that changes nothing."""
_ROWS = "INSERT INTO t VALUES (1, 'x'), (2, 'y'), (2, 'y'), (3, NULL);"


@dataclass(frozen=True)
class Case:
    """A golden output with an answer."""

    spec: ContractSpec
    golden: str
    generated: str

    def scored(self) -> RowScore:
        """By our own metrics."""
        answer = Generated(self.generated, len(self.generated.split()), ended=True)
        check = partial(check_output, self.spec)
        database = _ROWS if self.spec.kind is ContractKind.SQL else ""
        return score_rows(self.spec, check, [self.golden], [answer], database_sql=database)[0]


def cases() -> Iterator[Case]:
    """500 of them: 200 of JSON and 100 each of SQL, text and choices; the same in every run."""
    source = random.Random(_SEED)
    for make, count in ((_json_case, 200), (_sql_case, 100), (_text_case, 100), (_choice_case, 100)):
        for _ in range(count):
            yield make(source)


def _json_case(source: random.Random) -> Case:
    golden = _record(source)
    changed = _changed(source, golden)
    keys = list(changed)
    source.shuffle(keys)
    text = json.dumps({key: changed[key] for key in keys}, ensure_ascii=source.random() < 0.5)
    kind = source.random()
    if kind < 0.1:
        text = f"Sure, here is the object: {text}"
    elif kind < 0.2:
        text = unicodedata.normalize("NFD", text)
    elif kind < 0.25:
        text = text[:-1]
    return Case(JSON, json.dumps(golden, ensure_ascii=False), text)


def _record(source: random.Random) -> dict[str, Any]:  # Any: JSON values
    record: dict[str, Any] = {
        "name": source.choice(["Café Zoë", "Bar", "Ångström", ""]),
        "total": source.choice([42, 42.5, 0]),
        "open": source.random() < 0.5,
        "tags": [source.choice("abc") for _ in range(source.randint(0, 3))],
        "items": [
            {"item": source.choice(["tea", "pie"]), "count": source.randint(1, 2), "price": source.choice([1, 2.5])}
            for _ in range(source.randint(0, 3))
        ],
    }
    return {key: value for key, value in record.items() if source.random() < 0.85}


def _changed(source: random.Random, record: dict[str, Any]) -> dict[str, Any]:  # Any: as above
    """The record with some of what models do wrong, and some of what is no fault."""
    changed: dict[str, Any] = json.loads(json.dumps(record))
    other = _record(source)
    for key in list(other):
        if source.random() < 0.2:
            changed[key] = other[key]
    for key in list(changed):
        if source.random() < 0.1:
            del changed[key]
    if "total" in changed:
        changed["total"] = source.choice([changed["total"], float(changed["total"]), "42"])
    if "items" in changed:
        items = [_changed_item(source, item) for item in changed["items"]]
        changed["items"] = source.sample(items, len(items))
    return changed


def _changed_item(source: random.Random, item: dict[str, Any]) -> dict[str, Any]:  # Any: as above
    changed = {key: value for key, value in item.items() if key != "price" or source.random() < 0.9}
    return changed | ({"count": 9} if source.random() < 0.2 else {})


def _sql_case(source: random.Random) -> Case:
    golden = _statement(source)
    kind = source.random()
    if kind < 0.3:
        return Case(SQL, golden, golden.lower().replace("from t", "FROM t AS u"))
    if kind < 0.9:
        fitting = [edit for edit in _EDITS if edit[0] in golden]
        return Case(SQL, golden, golden.replace(*source.choice(fitting), 1))
    return Case(SQL, golden, source.choice(["SELECT c FROM t", "DELETE FROM t", "Sure!", "", f"{golden} {golden}"]))


def _statement(source: random.Random) -> str:
    what = source.choice(["a", "b", "DISTINCT b", "COUNT(*)", "COUNT(b)", "MIN(a)", "SUM(a)", "a, b"])
    comparisons = [
        f"a {source.choice(['=', '<>', '<', '<=', '>', '>='])} {source.randint(0, 4)}",
        f"b {source.choice(['=', '<>'])} {source.choice(['x', 'y'])!r}",
        "b IS NULL",
    ]
    chosen = source.sample(comparisons, source.randint(0, 2))
    where = f" WHERE {source.choice([' AND ', ' OR ']).join(chosen)}" if chosen else ""
    order = source.choice(["", " ORDER BY a", " ORDER BY a DESC"]) if what == "a" else ""
    return f"SELECT {what} FROM t{where}{order}"


def _text_case(source: random.Random) -> Case:
    words = ["The", "cat", "sat", "on", "a", "mat,", "42", "times", "it's", "(really)", "u_v", "--"]
    golden = [source.choice(words) for _ in range(source.randint(0, 12))]
    answer = [word for word in golden if source.random() < 0.8]
    for _ in range(source.randint(0, 3)):
        answer.insert(source.randint(0, len(answer)), source.choice(words))
    return Case(TEXT, " ".join(golden), " ".join(golden if source.random() < 0.1 else answer))


def _choice_case(source: random.Random) -> Case:
    golden = source.choice(CHOICE.choices)
    return Case(CHOICE, golden, source.choice([golden, *CHOICE.choices, f"{golden} please", golden.upper()]))
