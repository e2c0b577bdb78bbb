"""Estimates of training jobs from what earlier runs took."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from shared.architecture import architecture_of
from shared.base_model import BaseModel
from shared.errors import InvalidInput, NotFound, StateConflict, Unavailable
from shared.names import DatasetName, TenantName
from tests.unit.trainer_svc.usage_sample import GIB, RUN, measured, run_with
from trainer_svc.app.estimates import Estimates
from trainer_svc.domain.batch import padded_tokens
from trainer_svc.domain.dataset import Dataset, DatasetState, Report
from trainer_svc.domain.estimate import Price, Usage
from trainer_svc.domain.job import JobSpec
from trainer_svc.domain.plan import learning_rate
from trainer_svc.domain.run import Initialization, Preset
from trainer_svc.domain.teacher import SyntheticReport
from trainer_svc.domain.token_length import Quantiles, TokenLengths
from trainer_svc.store import calibration, catalog
from trainer_svc.store.database import Database
from trainer_svc.translate.estimate import estimate as message_of
from trainer_svc.translate.job import job_spec


@pytest.fixture
def lengths() -> TokenLengths:
    """Of 100 rows, 90 of them trained on."""
    flat = Quantiles(50, 50, 50, 50)
    return TokenLengths(flat, flat, flat, 512, 0, 100, 5_000, 4_500, 60, 1_000)


class TestEstimates:
    """The use case."""

    @pytest.fixture
    def estimates(self, database: Database, tiny_base: BaseModel) -> Estimates:
        """On a machine with a price."""
        return Estimates(database, tiny_base, threads=2, price=Price(3.6, "EUR", 100.0), calibrator=None)

    def _store(self, database: Database, clock: Any, lengths: TokenLengths | None, *runs: Usage) -> None:
        dataset = Dataset(
            "tenants/acme/datasets/d", "tenants/acme/contracts/c", "", "", clock.now(),
            state=DatasetState.ACTIVE, report=Report(100, 90, 10, 0, token_lengths=lengths),
        )  # fmt: skip

        def work(connection: Any) -> None:
            catalog.add_dataset(connection, dataset)
            for run in runs:
                calibration.add_usage(connection, run)

        asyncio.run(database.run(work))

    def _of(self, estimates: Estimates, spec: JobSpec, dataset: str = "tenants/acme/datasets/d") -> Any:
        return asyncio.run(estimates.of_job(TenantName("acme"), dataset, spec))

    def test_tells_tokens_steps_time_and_money(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """Of the settings as a job would fill them in."""
        self._store(database, clock, lengths, run_with(base_model_digest=tiny_base.digest))
        spec = JobSpec(epoch_count=2, batch_size=9)

        found, plan = self._of(estimates, spec)
        message = message_of(found, plan, spec, estimates.price)

        assert (message.epoch_token_count, message.token_count, message.step_count) == (4_500, 9_000, 20)
        assert message.expected.duration.ToTimedelta().total_seconds() == 10 + 9 + 40
        assert message.expected.price == pytest.approx(0.059)
        assert message.expected.energy_kwh == pytest.approx(0.1 * 59 / 3600)
        assert message.expected.currency == "EUR"
        assert message.low.price < message.expected.price < message.high.price
        assert (message.spec.rank, message.spec.epoch_count, message.spec.batch_size) == (16, 2, 9)
        assert message.spec.learning_rate > 0
        assert not message.HasField("past_error_ratio")

    def test_counts_the_padding_of_the_rows(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """Ninety rows in batches of nine: a batch with one of the long rows is as wide."""
        uneven = dataclasses.replace(lengths, train_lengths=(40,) * 81 + (140,) * 9)
        self._store(database, clock, uneven, measured(base_model_digest=tiny_base.digest))

        found, _ = self._of(estimates, JobSpec(epoch_count=2, batch_size=9))

        assert found.work.epoch_tokens == 4_500
        assert found.work.padded_tokens == 2 * padded_tokens(uneven.train_lengths, 90, 9) > 2 * (40 * 81 + 144 * 9)

    def test_tells_whether_memory_is_free(
        self, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """On CPU it is looked up now, on a GPU it is what the last run found."""
        self._store(database, clock, lengths, run_with(base_model_digest=tiny_base.digest, batch_tokens=10_000))
        estimates = Estimates(
            database, tiny_base, threads=2, price=Price(), calibrator=None, free_memory=lambda: GIB - 1
        )  # fmt: skip

        found, plan = self._of(estimates, JobSpec())
        message = message_of(found, plan, JobSpec(), estimates.price)

        assert (message.available_memory_bytes, message.fits, message.calibrated) == (GIB - 1, False, False)
        on_gpu = run_with(base_model_digest=tiny_base.digest, device="H200", free_bytes=5 * GIB, batch_tokens=10_000)
        asyncio.run(database.run(lambda c: calibration.add_usage(c, on_gpu)))
        assert self._of(estimates, JobSpec())[0].available_bytes == 5 * GIB

    def test_measures_nothing_where_no_jobs_run(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths
    ) -> None:
        """A server without places for jobs has none for calibrations."""
        self._store(database, clock, lengths)

        with pytest.raises(Unavailable, match="runs no training jobs"):
            asyncio.run(estimates.of_job(TenantName("acme"), "tenants/acme/datasets/d", JobSpec(), calibrate=True))

    def test_is_of_all_the_settings_that_were_sent(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """What the plan does not fill in stays as it was."""
        self._store(database, clock, lengths, run_with(base_model_digest=tiny_base.digest))
        spec = JobSpec(seed=7, use_rslora=True, loraplus_ratio=16.0, initialization=Initialization.EVA)

        found, plan = self._of(estimates, spec)
        told = job_spec(message_of(found, plan, spec, estimates.price).spec)

        filled = dataclasses.replace(
            told, rank=None, alpha=None, learning_rate=None, epoch_count=None, batch_size=None,
            early_stopping_patience=None, evaluated_checkpoint_count=None,
        )  # fmt: skip
        assert filled == spec
        assert None not in dataclasses.astuple(told)

    def test_have_the_learning_rate_of_the_bases_family(
        self, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """The one that the job will have."""
        self._store(database, clock, lengths, run_with(base_model_digest=tiny_base.digest))
        qwen = dataclasses.replace(tiny_base, architecture=architecture_of("qwen3"))

        _, plan = self._of(Estimates(database, qwen, threads=2, price=Price(), calibrator=None), JobSpec())

        assert plan.learning_rate == learning_rate(tiny_base.hidden_size, "qwen3")

    def test_are_not_told_of_several_processes(
        self, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """Nothing of how they share a machine was measured."""
        self._store(database, clock, lengths, run_with(base_model_digest=tiny_base.digest))
        several = Estimates(database, tiny_base, threads=2, price=Price(), calibrator=None, processes=2)

        with pytest.raises(StateConflict, match="2 processes"):
            self._of(several, JobSpec())

    def test_refuses_lengths_of_another_base_model(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """They say nothing of this one; those that name none are taken as before."""
        self._store(
            database, clock, dataclasses.replace(lengths, base_model_digest="sha256:0"),
            run_with(base_model_digest=tiny_base.digest),
        )  # fmt: skip

        with pytest.raises(StateConflict, match="another base model, sha256:0") as refusal:
            self._of(estimates, JobSpec())

        assert refusal.value.reason == "NOT_MEASURED"
        assert "CurateGoldenDataset" in refusal.value.hint

    def test_takes_lengths_of_its_own_base_model(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """By its digest."""
        own = dataclasses.replace(lengths, base_model_digest=tiny_base.digest)
        self._store(database, clock, own, run_with(base_model_digest=tiny_base.digest))

        assert self._of(estimates, JobSpec())[0].work.epoch_tokens == 4_500

    def test_counts_the_answers_of_validations(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """16 of the 90 rows are answered ten times, and not trained on: as if the run did not stop early."""
        self._store(database, clock, lengths, run_with(base_model_digest=tiny_base.digest))
        spec = JobSpec(epoch_count=2, early_stopping_patience=3)

        found, plan = self._of(estimates, spec)

        assert (found.work.epoch_tokens, found.work.step_count) == (round(4_500 * 74 / 90), 20)
        assert found.work.answer_tokens == (10 * 16 + 4 * 2 * 10 + 64) * 10, "each of four states twice, and known rows"
        assert found.work.validation_count == 10
        assert message_of(found, plan, spec, estimates.price).spec.early_stopping_patience == 3

    def test_refuses_a_patience_where_too_few_rows_can_be_set_aside(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """As the job would be; a preset's is off."""
        self._store(database, clock, lengths, run_with(base_model_digest=tiny_base.digest))
        small = dataclasses.replace(
            asyncio.run(database.run(lambda c: catalog.get_dataset(c, DatasetName("acme", "d")))),
            report=Report(70, 60, 10, 0, token_lengths=lengths),
        )
        asyncio.run(database.run(lambda c: catalog.save_dataset(c, small, None)))

        with pytest.raises(InvalidInput, match="needs 64 rows"):
            self._of(estimates, JobSpec(early_stopping_patience=3))
        _, plan = self._of(estimates, JobSpec(preset=Preset.BEST))

        assert plan.early_stopping_patience == 0

    @pytest.mark.parametrize(("synthetic", "validating"), [(70, 16), (74, 16), (75, 0)])
    def test_sets_aside_golden_rows_only(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel,
        synthetic: int, validating: int,
    ) -> None:  # fmt: skip
        """Of 90 rows those that no teacher labelled; where they are too few a preset's patience is off, as in a run."""
        self._store(database, clock, lengths, run_with(base_model_digest=tiny_base.digest))
        stored = asyncio.run(database.run(lambda c: catalog.get_dataset(c, DatasetName("acme", "d"))))
        assert stored.report is not None
        report = dataclasses.replace(stored.report, synthetic=SyntheticReport(synthetic, synthetic))
        labelled = dataclasses.replace(stored, report=report)
        asyncio.run(database.run(lambda c: catalog.save_dataset(c, labelled, None)))

        found, plan = self._of(estimates, JobSpec(preset=Preset.BEST))

        assert (plan.early_stopping_patience > 0) == (validating > 0)
        assert found.work.epoch_tokens == round(4_500 * (90 - validating) / 90)

    def test_says_nothing_of_money_without_a_price(
        self, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """Absent is not free."""
        self._store(database, clock, lengths, run_with(base_model_digest=tiny_base.digest))
        estimates = Estimates(database, tiny_base, threads=2, price=Price(0.0, "EUR", 0.0), calibrator=None)

        found, plan = self._of(estimates, JobSpec())
        message = message_of(found, plan, JobSpec(), estimates.price)

        assert not message.expected.HasField("price")
        assert not message.expected.HasField("energy_kwh")
        assert message.expected.currency == ""

    def test_guesses_nothing_that_was_not_measured(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths
    ) -> None:
        """Without a run on this machine the answer is what to do, not a number."""
        self._store(database, clock, lengths, RUN)

        with pytest.raises(StateConflict, match="no lora run of tiny with 2 threads") as caught:
            self._of(estimates, JobSpec())

        assert caught.value.reason == "NOT_MEASURED"

    def test_needs_a_dataset_that_was_measured(
        self, estimates: Estimates, database: Database, clock: Any, tiny_base: BaseModel
    ) -> None:
        """One that was sealed by an earlier release is named as such."""
        self._store(database, clock, None, run_with(base_model_digest=tiny_base.digest))

        with pytest.raises(StateConflict, match="sealed before"):
            self._of(estimates, JobSpec())

    def test_needs_a_dataset_that_passed_its_check(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths
    ) -> None:
        """One that is being checked may be trained on, which the error does not deny, but has not been measured yet."""
        self._store(database, clock, lengths)
        name = DatasetName("acme", "d")
        checking = dataclasses.replace(
            asyncio.run(database.run(lambda c: catalog.get_dataset(c, name))), state=DatasetState.VALIDATING
        )
        asyncio.run(database.run(lambda c: catalog.save_dataset(c, checking, None)))

        with pytest.raises(StateConflict, match="only an active dataset can be estimated"):
            self._of(estimates, JobSpec())

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
            self._of(estimates, JobSpec(rank=7))
        with pytest.raises(InvalidInput):
            self._of(estimates, JobSpec(), "tenants/globex/datasets/d")
        with pytest.raises(NotFound):
            self._of(estimates, JobSpec())
