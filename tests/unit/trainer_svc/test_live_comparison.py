"""Revisions compared by their stored answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from tests.unit.trainer_svc.evaluation_sample import RIGHT, WRONG, row
from trainer_svc.app.live_comparison import LEAST_ROWS, StoredAnswers
from trainer_svc.domain.comparison import MetricName, Verdict
from trainer_svc.domain.evaluation import EvaluatedRow, ScoredAnswer
from trainer_svc.domain.registry import Revision
from trainer_svc.domain.row_score import RowScore
from trainer_svc.store.codec import dump


def _row(number: int, score: RowScore) -> EvaluatedRow:
    return dataclasses.replace(row(number), adapter=ScoredAnswer("", score))


class TestStoredAnswers:
    """`StoredAnswers.compare`."""

    @pytest.fixture
    def blobs(self, tmp_path: Path) -> LocalBlobStore:
        """A store."""
        return LocalBlobStore(tmp_path)

    def _revision(self, blobs: LocalBlobStore, rows: Sequence[EvaluatedRow]) -> Revision:
        digest = blobs.put_bytes(b"".join(dump(one).encode() + b"\n" for one in rows))
        return Revision("r", "sha256:0", (), "j", "c", "b", ManualClock().now(), evaluated_rows_digest=digest)

    def test_pairs_the_rows_that_both_answered(self, blobs: LocalBlobStore) -> None:
        """Whatever their order and their number; what one of them met alone has no part."""
        better = self._revision(blobs, [_row(number, RIGHT) for number in range(60)])
        worse = self._revision(blobs, [_row(number, WRONG) for number in reversed(range(30, 100))])

        found = StoredAnswers(blobs).compare(better, worse)

        assert found is not None
        (task,) = found
        assert (task.metric, task.row_count, task.difference) == (MetricName.TASK_METRIC, 30, 1.0)
        assert task.verdict is Verdict.BETTER

    def test_says_nothing_of_few_rows(self, blobs: LocalBlobStore) -> None:
        """One row fewer than it takes."""
        rows = [_row(number, RIGHT) for number in range(LEAST_ROWS)]
        whole, part = self._revision(blobs, rows), self._revision(blobs, rows[1:])

        assert StoredAnswers(blobs).compare(whole, part) is None
        assert StoredAnswers(blobs).compare(whole, whole) is not None

    def test_says_nothing_of_a_revision_without_answers(self, blobs: LocalBlobStore) -> None:
        """An earlier release stored none."""
        rows = [_row(number, RIGHT) for number in range(40)]
        own = self._revision(blobs, rows)

        assert StoredAnswers(blobs).compare(own, dataclasses.replace(own, evaluated_rows_digest="")) is None

    def test_says_nothing_across_contracts_or_bases(self, blobs: LocalBlobStore) -> None:
        """The rows may be the same; what is right is not."""
        own = self._revision(blobs, [_row(number, RIGHT) for number in range(40)])

        for other in ({"contract": "other"}, {"base_model_digest": "other"}):
            assert StoredAnswers(blobs).compare(own, dataclasses.replace(own, **other)) is None

    def test_says_nothing_of_answers_that_rotted(self, blobs: LocalBlobStore, tmp_path: Path) -> None:
        """An alias must still move, by a person at least."""
        own = self._revision(blobs, [_row(number, RIGHT) for number in range(40)])
        for path in tmp_path.rglob("*"):
            if path.is_file():
                path.chmod(0o600)
                path.write_bytes(b"rot")

        assert StoredAnswers(blobs).compare(own, own) is None
