"""Metrics against a second computation."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from tests.bench.evaluation_cases import JSON, cases
from tests.bench.evaluation_metrics import best_alignment, differences, measure
from trainer_svc.domain.row_score import FieldCount, RowScore
from trainer_svc.evaluation.alignment import count_fields
from trainer_svc.evaluation.summary import metrics_of
from trainer_svc.evaluation.tree import read_tree

_ITEM = st.dictionaries(st.sampled_from("ab"), st.integers(0, 2), max_size=2)
_VALUE = st.dictionaries(
    st.sampled_from("xyz"),
    st.one_of(st.integers(0, 2), st.lists(_ITEM, max_size=3), st.lists(st.sampled_from("pq"), max_size=3)),
)


class TestSecondComputation:
    """scikit-learn, rouge-score, jsonschema, SQLite, and the best of all alignments."""

    def test_agrees_on_all_cases(self) -> None:
        """No figure of 500 cases differs."""
        assert measure() == {"metric_cases": 500, "metric_mismatches": 0}

    def test_cases_are_of_every_outcome(self) -> None:
        """Cases of which all were right, or all wrong, would tell nothing."""
        scores = [(case.spec.kind, case.scored()) for case in cases()]

        for kind in {kind for kind, _ in scores}:
            assert {score.is_exact for of, score in scores if of is kind} == {True, False}
        assert {score.executes_alike for _, score in scores} == {True, False, None}
        extracted = [score for kind, score in scores if kind is JSON.kind]
        assert all(any(getattr(row, fate) for row in extracted) for fate in ("omitted", "invented", "mismatched"))

    def test_finds_a_wrong_metric(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Alignment by position, which many do, is noticed."""
        monkeypatch.setattr("trainer_svc.evaluation.alignment._MAX_CELLS", 0)

        assert any(differences(case) for case in cases())

    @given(_VALUE, _VALUE)
    def test_alignment_is_the_best_there_is(self, golden: object, generated: object) -> None:
        """No order of lists matches more leaves, and none that matches as many has more at shared paths."""
        left, right = best_alignment(golden, generated)
        shared = left.keys() & right.keys()
        matched = sum(left[path] == right[path] for path in shared)

        counts = count_fields(_tree(golden), _tree(generated))

        assert sum(count.matched for count in counts) == matched
        assert sum(count.mismatched for count in counts) == len(shared) - matched
        assert sum(count.golden for count in counts) == len(left)
        assert sum(count.generated for count in counts) == len(right)

    def test_micro_averages_are_those_of_all_leaves_together(self) -> None:
        """Of rows with one leaf per label, as scikit-learn counts an indicator matrix."""
        source = random.Random(3)
        truth = np.array([[source.random() < 0.5 for _ in range(6)] for _ in range(40)], dtype=int)
        answer = np.array([[source.random() < 0.5 for _ in range(6)] for _ in range(40)], dtype=int)
        wanted = precision_recall_fscore_support(truth, answer, average="micro", zero_division=0)[:3]
        each = precision_recall_fscore_support(truth, answer, average=None, zero_division=0)[:3]

        metrics = metrics_of([_row(*pair) for pair in zip(truth.tolist(), answer.tolist(), strict=True)])

        measures = (metrics.field_precision, metrics.field_recall, metrics.field_f1)
        assert [measure.value for measure in measures] == pytest.approx(list(wanted))
        assert [(field.precision, field.recall, field.f1) for field in metrics.fields] == [
            pytest.approx(row) for row in zip(*each, strict=True)
        ]


def _tree(value: object) -> object:
    return read_tree(json.dumps(value))


def _row(truth: list[int], answer: list[int]) -> RowScore:
    fields = tuple(
        FieldCount(f"/{label}", matched=want & got, omitted=want & ~got & 1, invented=got & ~want & 1)
        for label, (want, got) in enumerate(zip(truth, answer, strict=True))
    )
    return RowScore(True, truth == answer, fields, has_filler=False, ended=True, token_count=1)
