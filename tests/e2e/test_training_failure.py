"""A training job's child process that fails: whose fault it is, and what is told."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.base_model import BaseModel
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import InvalidInput
from tests.e2e.training_sample import events_of, rows, run_here, start
from trainer_svc.domain.dataset import CheckedRow
from trainer_svc.domain.run import (
    EXIT_DISK_FULL,
    EXIT_INTERNAL_ERROR,
    EXIT_USER_ERROR,
    RunFolder,
    RunSpec,
)

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]


class TestFailure:
    """Of a run, with its exit status."""

    def test_a_row_that_does_not_fit_is_the_tenants_mistake(self, prepare: Callable[..., RunFolder]) -> None:
        """Nothing is cut: the run fails naming the row."""
        folder = prepare("long", [*rows(20), CheckedRow(21, "x" * 3000, '{"city":"Rome","count":1}')])

        assert start(folder).wait() == EXIT_USER_ERROR

        failure = json.loads(folder.failure.read_text())
        assert (failure["reason"], failure["user_error"]) == ("CONTEXT_TOO_LONG", True)
        assert "rows[21]" in failure["message"]

    def test_a_base_model_without_weights_is_ours(self, prepare: Callable[..., RunFolder], base: BaseModel) -> None:
        """An unexpected error is internal, and its text, which may hold paths, is not told."""
        folder = prepare("broken")
        empty = folder.path / "base"
        empty.mkdir()
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            (empty / name).write_bytes((base.folder / name).read_bytes())
        spec = dataclasses.replace(RunSpec.from_json(folder.spec.read_bytes()), base_model_dir=str(empty))
        folder.spec.write_bytes(spec.to_json())

        assert start(folder).wait() == EXIT_INTERNAL_ERROR

        failure = json.loads(folder.failure.read_text())
        assert (failure["reason"], failure["user_error"]) == ("INTERNAL", False)
        assert str(folder.path) not in failure["message"]

    def test_a_full_disk_is_told_by_the_status(self, prepare: Callable[..., RunFolder], small_disk: Path) -> None:
        """The checkpoint does not fit, and neither would a file that says so; what was there before stays whole."""
        folder = RunFolder(small_disk / "run")
        shutil.copytree(prepare("full").path, folder.path)
        rows_before = folder.train_rows.read_bytes()
        process = start(folder)

        assert process.wait() == EXIT_DISK_FULL, (folder.path / "log").read_text()[-2000:]

        assert not folder.package.exists()
        assert folder.train_rows.read_bytes() == rows_before

    def test_a_diverging_loss_ends_the_run(self, prepare: Callable[..., RunFolder]) -> None:
        """NaN is never trained on, evaluated or packaged."""
        folder = prepare("diverging", learning_rate=1e30)

        with pytest.raises(InvalidInput) as caught:
            run_here(folder)

        assert caught.value.reason == "LOSS_DIVERGED"
        assert not folder.adapter.exists()

    def test_a_database_that_cannot_be_built_is_told_before_training(self, prepare: Callable[..., RunFolder]) -> None:
        """Execution match needs it only at the end, which would be an expensive moment to say so."""
        contract = ContractSpec(ContractKind.SQL, ddl="CREATE TABLE city (name TEXT);").canonical().decode()
        folder = prepare("database", contract=contract, database_sql="INSERT INTO town VALUES ('Oslo');")

        with pytest.raises(InvalidInput) as caught:
            run_here(folder)

        assert caught.value.violations[0].path == "dataset.database_sql"
        assert [event["phase"] for event in events_of(folder, "phase")] == ["preparing"]
