"""What is held out of a dataset, and what is made of one."""

from __future__ import annotations

import json
import uuid

import pytest
from typer.testing import CliRunner

from goldsmith.trainer.v1 import example_preview_pb2, golden_dataset_pb2
from shared.cli.main import app
from shared.client import TrainerClient
from shared.errors import InvalidInput
from tests.integration.trainer.house import TENANT, golden_rows

pytestmark = pytest.mark.timeout(120)


class TestSplit:
    """What is held out where no row says so."""

    def _held(self, trainer: TrainerClient, seed: int) -> tuple[str, frozenset[int]]:
        """A dataset with the seed, and the rows that are held out of it."""
        golden = golden_dataset_pb2.GoldenDataset(contract=f"{TENANT}/contracts/answer", split_seed=seed)
        name = trainer.create_dataset(f"{TENANT}/datasets/d-{uuid.uuid4().hex[:8]}", golden).name
        trainer.upload(name, golden_rows())
        held = example_preview_pb2.EXAMPLE_SPLIT_HOLDOUT
        return name, frozenset(row for row in range(1, 41) if trainer.preview(name, row).split == held)

    def test_is_chosen_by_its_seed(self, trainer: TrainerClient) -> None:
        """Another seed holds out other rows, the same one the same, and the dataset tells it."""
        name, first = self._held(trainer, 7)

        assert trainer.dataset(name).split_seed == 7
        assert first == self._held(trainer, 7)[1]
        assert first != self._held(trainer, 8)[1]
        assert len(first) == 4

    def test_its_seed_is_told_by_the_command(self, trainer: TrainerClient, address: str) -> None:
        """And stays with what is curated from it."""
        name, _ = self._held(trainer, 7)
        step = golden_dataset_pb2.CURATION_STEP_DROP_DUPLICATES
        made = trainer.curate(f"{TENANT}/datasets/c-{uuid.uuid4().hex[:8]}", name, [step])

        told = CliRunner().invoke(app, ["dataset", "report", made.name, "--json", "--address", address])

        assert json.loads(told.stdout)["split_seed"] == 7

    def test_its_seed_is_no_negative_number(self, trainer: TrainerClient) -> None:
        """The field is named."""
        with pytest.raises(InvalidInput) as caught:
            self._held(trainer, -1)

        assert [violation.path for violation in caught.value.violations] == ["dataset.split_seed"]


class TestCuration:
    """A dataset from another."""

    def test_shows_lineage_and_changes(self, trainer: TrainerClient, dataset: str) -> None:
        """Of each row that was dropped; the source is as it was."""
        source = trainer.upload(dataset, golden_rows(40) + golden_rows(2))
        step = golden_dataset_pb2.CURATION_STEP_DROP_DUPLICATES

        made = trainer.curate(f"{TENANT}/datasets/c-{uuid.uuid4().hex[:8]}", dataset, [step])

        assert made.state == golden_dataset_pb2.GOLDEN_DATASET_STATE_ACTIVE
        assert (made.lineage.source, made.lineage.source_digest, list(made.lineage.steps)) == (
            dataset,
            source.digest,
            [step],
        )
        assert made.report.row_count == 40
        changes = list(trainer.changes(made.name))
        assert len(changes) == 2
        assert {(change.step, change.after_digest) for change in changes} == {(step, "")}
        assert trainer.upload(dataset, golden_rows(40) + golden_rows(2)) == source
        with pytest.raises(InvalidInput):
            trainer.curate(f"{TENANT}/datasets/none", dataset, [99])  # type: ignore[list-item]  # of a newer caller
