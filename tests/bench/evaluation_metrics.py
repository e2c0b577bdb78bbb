"""Metrics computed a second time: by scikit-learn, rouge-score, jsonschema and SQLite, and by trying all alignments.

`python -m tests.bench evaluation`; seconds.
"""

from __future__ import annotations

import itertools
import json
import random
import sqlite3
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from jsonschema import Draft202012Validator
from rouge_score.rouge_scorer import RougeScorer
from sklearn.metrics import precision_recall_fscore_support

from shared.contracts.spec import ContractKind
from tests.bench.evaluation_cases import CHOICE, SCHEMA, Case, cases
from tests.bench.result import Figures
from trainer_svc.evaluation.summary import metrics_of

_SEED = 20_261_123
_TOLERANCE = 1e-9


def measure() -> Figures:
    """How many cases there are, and on how many of them any figure differs from the second computation."""
    found = list(cases())
    wrong = [case for case in found if differences(case)]
    return {"metric_cases": len(found), "metric_mismatches": len(wrong)}


def differences(case: Case) -> dict[str, tuple[object, object]]:
    """The figures that differ, ours first."""
    ours, theirs = _ours(case), _theirs(case)
    assert ours.keys() >= theirs.keys()
    return {name: (ours[name], theirs[name]) for name in theirs if not _agree(ours[name], theirs[name])}


def _agree(one: Any, other: Any) -> bool:  # Any: figures of every type
    return bool(abs(one - other) <= _TOLERANCE) if isinstance(other, float) else one == other


def _ours(case: Case) -> dict[str, object]:
    row = case.scored()
    metrics = metrics_of([row])
    return {
        "valid": row.is_valid,
        "exact": row.is_exact,
        "fates": (row.matched, row.omitted, row.invented, row.mismatched),
        "precision": metrics.field_precision.value,
        "recall": metrics.field_recall.value,
        "f1": metrics.field_f1.value,
        "executes_alike": row.executes_alike,
        "rouge_l": row.rouge_l,
    }


def _theirs(case: Case) -> dict[str, object]:
    match case.spec.kind:
        case ContractKind.JSON:
            return _theirs_of_json(case)
        case ContractKind.SQL:
            return {"executes_alike": is_alike_everywhere(case.golden, case.generated)}
        case ContractKind.TEXT:
            rouge = RougeScorer(["rougeL"]).score(case.golden, case.generated)["rougeL"].fmeasure
            return {"rouge_l": float(rouge), "exact": case.golden == case.generated}
    is_right = case.golden == case.generated
    measures = label_measures({case.golden}, {case.generated})
    return {"exact": is_right, "valid": case.generated in CHOICE.choices, **measures}


def _theirs_of_json(case: Case) -> dict[str, object]:
    golden, generated = _parsed(case.golden), _parsed(case.generated)
    if generated is None:
        left, right = dict(next(flattenings(golden))), {}
    else:
        left, right = best_alignment(golden, generated)
    shared = left.keys() & right.keys()
    matched = sum(left[path] == right[path] for path in shared)
    fates = matched, len(left) - len(shared), len(right) - len(shared), len(shared) - matched
    return {
        "valid": generated is not None and Draft202012Validator(SCHEMA).is_valid(generated),
        "exact": golden == generated,
        "fates": fates,
        **label_measures(set(left.items()), set(right.items())),
    }


def label_measures(golden: set[Any], generated: set[Any]) -> dict[str, float]:
    """Micro precision, recall and F1 of scikit-learn; all 1 where nothing was to be found and nothing was."""
    labels = sorted(golden | generated, key=repr)
    if not labels:
        return {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    truth, answer = (np.array([[label in side for label in labels]], dtype=int) for side in (golden, generated))
    found = precision_recall_fscore_support(truth, answer, average="micro", zero_division=0)
    return dict(zip(("precision", "recall", "f1"), map(float, found[:3]), strict=True))


def _parsed(text: str) -> Any:  # Any: a JSON value
    try:
        return json.loads(unicodedata.normalize("NFC", text))
    except ValueError:
        return None


def best_alignment(golden: Any, generated: Any) -> tuple[dict[str, object], dict[str, object]]:  # Any: JSON values
    """Leaves by path of both, the second one's lists in the order in which most match, then most share a path."""
    left = next(flattenings(golden))

    def fit(right: dict[str, object]) -> tuple[int, int]:
        shared = left.keys() & right.keys()
        return sum(left[path] == right[path] for path in shared), len(shared)

    return left, max(flattenings(generated, _list_lengths(golden)), key=fit)


def _list_lengths(value: Any, path: str = "") -> dict[str, int]:  # Any: as above
    match value:
        case dict():
            parts = [_list_lengths(inner, f"{path}/{key}") for key, inner in value.items()]
        case list():
            parts = [{path: len(value)}, *(_list_lengths(inner, f"{path}/-") for inner in value)]
        case _:
            parts = []
    return {key: length for part in parts for key, length in part.items()}


def flattenings(value: Any, lengths: dict[str, int] | None = None) -> Iterator[dict[str, object]]:  # Any: as above
    """Leaves by path; with the other value's lists at hand once for each way to place items beside theirs."""
    yield from (dict(leaves) for leaves in _flat(value, "", "", lengths))


def _flat(
    value: Any, path: str, place: str, lengths: dict[str, int] | None
) -> Iterator[tuple[tuple[str, object], ...]]:  # Any: as above
    match value:
        case dict():
            parts = [list(_flat(inner, f"{path}/{key}", f"{place}/{key}", lengths)) for key, inner in value.items()]
            yield from (tuple(itertools.chain(*chosen)) for chosen in itertools.product(*parts))
        case list():
            width = max(len(value), (lengths or {}).get(place, 0))
            orders = itertools.permutations(range(width), len(value)) if lengths is not None else [range(len(value))]
            for order in orders:
                items = [
                    list(_flat(inner, f"{path}/{index}", f"{place}/-", lengths))
                    for index, inner in zip(order, value, strict=True)
                ]
                yield from (tuple(itertools.chain(*chosen)) for chosen in itertools.product(*items))
        case _:
            yield ((path, (type(value) is bool, value)),)


def is_alike_everywhere(golden: str, generated: str) -> bool:
    """Whether two statements agree on our rows, on a table of every combination of values, and on 300 small tables."""
    values = list(itertools.product([None, -1, 0, 1, 2, 3, 4, 5, 6], [None, "x", "y", "X", "xx", ""]))
    source = random.Random(_SEED)
    tables = [[(1, "x"), (2, "y"), (2, "y"), (3, None)], values * 2, []]
    tables += [source.choices(values, k=source.randint(1, 5)) for _ in range(300)]
    return all(_has_same_result(rows, golden, generated) for rows in tables)


def _has_same_result(rows: list[tuple[object, object]], golden: str, generated: str) -> bool:
    database = sqlite3.connect(":memory:")
    try:
        database.execute("CREATE TABLE t (a INTEGER, b TEXT)")
        database.executemany("INSERT INTO t VALUES (?, ?)", rows)
        found = [database.execute(statement).fetchall() for statement in (golden, generated)]
    except sqlite3.Error:
        return False
    finally:
        database.close()
    return found[0] == found[1] if "ORDER BY" in golden else Counter(found[0]) == Counter(found[1])
