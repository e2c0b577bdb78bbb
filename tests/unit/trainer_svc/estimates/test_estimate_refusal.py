"""What no estimate is made of."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from shared.base_model import BaseModel
from shared.errors import InvalidInput, NotFound, StateConflict, Unavailable
from shared.names import DatasetName, TenantName
from tests.unit.trainer_svc.estimates.house import estimated, store
from tests.unit.trainer_svc.usage_sample import RUN, run_with
from trainer_svc.app.estimates import Estimates
from trainer_svc.domain.dataset import DatasetState, Report
from trainer_svc.domain.estimate import Price
from trainer_svc.domain.job import JobSpec
from trainer_svc.domain.run import Preset
from trainer_svc.domain.token_length import TokenLengths
from trainer_svc.store import catalog
from trainer_svc.store.database import Database


class TestRefusal:
    """With what to do about it."""

    def test_measures_nothing_where_no_jobs_run(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths
    ) -> None:
        """A server without places for jobs has none for calibrations."""
        store(database, clock, lengths)

        with pytest.raises(Unavailable, match="runs no training jobs"):
            asyncio.run(estimates.of_job(TenantName("acme"), "tenants/acme/datasets/d", JobSpec(), calibrate=True))

    def test_are_not_told_of_several_processes(
        self, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """Nothing of how they share a machine was measured."""
        store(database, clock, lengths, run_with(base_model_digest=tiny_base.digest))
        several = Estimates(database, tiny_base, threads=2, price=Price(), calibrator=None, processes=2)

        with pytest.raises(StateConflict, match="2 processes"):
            estimated(several, JobSpec())

    def test_refuses_lengths_of_another_base_model(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """They say nothing of this one; those that name none are taken as before."""
        store(
            database, clock, dataclasses.replace(lengths, base_model_digest="sha256:0"),
            run_with(base_model_digest=tiny_base.digest),
        )  # fmt: skip

        with pytest.raises(StateConflict, match="another base model, sha256:0") as refusal:
            estimated(estimates, JobSpec())

        assert refusal.value.reason == "NOT_MEASURED"
        assert "CurateGoldenDataset" in refusal.value.hint

    def test_refuses_a_patience_where_too_few_rows_can_be_set_aside(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """As the job would be; a preset's is off."""
        store(database, clock, lengths, run_with(base_model_digest=tiny_base.digest))
        small = dataclasses.replace(
            asyncio.run(database.run(lambda c: catalog.get_dataset(c, DatasetName("acme", "d")))),
            report=Report(70, 60, 10, 0, token_lengths=lengths),
        )
        asyncio.run(database.run(lambda c: catalog.save_dataset(c, small, None)))

        with pytest.raises(InvalidInput, match="needs 64 rows"):
            estimated(estimates, JobSpec(early_stopping_patience=3))
        _, plan = estimated(estimates, JobSpec(preset=Preset.BEST))

        assert plan.early_stopping_patience == 0

    def test_guesses_nothing_that_was_not_measured(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths
    ) -> None:
        """Without a run on this machine the answer is what to do, not a number."""
        store(database, clock, lengths, RUN)

        with pytest.raises(StateConflict, match="no lora run of tiny with 2 threads") as caught:
            estimated(estimates, JobSpec())

        assert caught.value.reason == "NOT_MEASURED"

    def test_needs_a_dataset_that_was_measured(
        self, estimates: Estimates, database: Database, clock: Any, tiny_base: BaseModel
    ) -> None:
        """One that was sealed by an earlier release is named as such."""
        store(database, clock, None, run_with(base_model_digest=tiny_base.digest))

        with pytest.raises(StateConflict, match="sealed before"):
            estimated(estimates, JobSpec())

    def test_needs_a_dataset_that_passed_its_check(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths
    ) -> None:
        """One that is being checked may be trained on, which the error does not deny, but has not been measured yet."""
        store(database, clock, lengths)
        name = DatasetName("acme", "d")
        checking = dataclasses.replace(
            asyncio.run(database.run(lambda c: catalog.get_dataset(c, name))), state=DatasetState.VALIDATING
        )
        asyncio.run(database.run(lambda c: catalog.save_dataset(c, checking, None)))

        with pytest.raises(StateConflict, match="only an active dataset can be estimated"):
            estimated(estimates, JobSpec())

    def test_refuses_a_base_revision(self, estimates: Estimates) -> None:
        """Its rank and alpha are not looked up: the error says to set them instead, rather than to estimate others."""
        revision = "tenants/acme/adapters/a/revisions/1"

        with pytest.raises(InvalidInput, match="leave it out") as caught:
            asyncio.run(
                estimates.of_job(TenantName("acme"), "tenants/acme/datasets/d", JobSpec(), base_revision=revision)
            )

        assert caught.value.violations[0].path == "job.base_revision"

    def test_refuses_what_a_job_would_refuse(self, estimates: Estimates) -> None:
        """Settings, other tenants' datasets, datasets that do not exist."""
        with pytest.raises(InvalidInput):
            estimated(estimates, JobSpec(rank=7))
        with pytest.raises(InvalidInput):
            estimated(estimates, JobSpec(), "tenants/globex/datasets/d")
        with pytest.raises(NotFound):
            estimated(estimates, JobSpec())
