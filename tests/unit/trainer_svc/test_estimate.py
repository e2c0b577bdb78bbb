"""Estimates of training jobs from what earlier runs took."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert

from shared.base_model import BaseModel
from shared.errors import InvalidInput, NotFound, StateConflict, Unavailable
from shared.names import DatasetName, TenantName
from tests.unit.trainer_svc.conftest import FINISH, Stage
from trainer_svc.app.estimates import Estimates
from trainer_svc.domain.dataset import Dataset, DatasetState, Report
from trainer_svc.domain.estimate import Calibration, Price, Usage, Work, estimate
from trainer_svc.domain.job import JobSpec
from trainer_svc.domain.pace import StepSums
from trainer_svc.domain.run import Initialization, Preset, TrainingMode
from trainer_svc.domain.teacher import SyntheticReport
from trainer_svc.domain.token_length import Quantiles, TokenLengths
from trainer_svc.store import calibration, catalog
from trainer_svc.store.calibration import KEPT_RUNS
from trainer_svc.store.codec import dump
from trainer_svc.store.database import Database
from trainer_svc.store.table import calibrations
from trainer_svc.translate.estimate import estimate as message_of
from trainer_svc.translate.job import job_spec

GIB = 1 << 30
RUN = Usage(
    base_model_digest="sha256:0", mode=TrainingMode.LORA, rank=16, threads=2, device="cpu", trained_tokens=100_000,
    batch_tokens=1_000, holdout_count=50, startup_seconds=10.0, training_seconds=100.0, evaluation_seconds=50.0,
    peak_bytes=GIB,
)  # fmt: skip
"""Of an earlier release: it does not tell its steps."""
WORK = Work(
    epoch_tokens=50_000, epoch_count=4, step_count=80, batch_tokens=1_000, holdout_count=100, padded_tokens=200_000,
    answer_tokens=2_000,
)  # fmt: skip


def _measured(
    *, fixed: float = 0.1, pace: float = 0.002, widths: Sequence[int] = (400, 100, 250), **changes: Any
) -> Usage:
    """A run whose steps took 0.1 s and 2 ms a token, its 50 answers 20 s, its loss 5 s, the rest 3 s."""
    steps = [(width, 0.1 + 0.002 * width) for width in widths]
    told = {
        "steps": StepSums.of(steps), "step_count": len(widths), "padded_tokens": sum(widths),
        "training_seconds": sum(seconds for _, seconds in steps), "evaluation_seconds": 28.0,
        "answering_seconds": 20.0, "scoring_seconds": 5.0, "answer_tokens": 1_000,
    }  # fmt: skip
    return _run(**{**told, **changes})


def _run(**changes: Any) -> Usage:
    return dataclasses.replace(RUN, **changes)


class TestTime:
    """Seconds of a run."""

    def test_is_told_of_another_job_than_was_measured(self) -> None:
        """80 steps of a tenth, 200,000 tokens of 2 ms, 100 losses of a tenth, 2,000 answer tokens of 20 ms."""
        found = estimate(WORK, 16, [_measured()])

        assert found.seconds == pytest.approx(10 + (80 * 0.1 + 200_000 * 0.002) + (3 + 100 * 0.1 + 2_000 * 0.02))

    def test_counts_a_load_of_the_base_for_each_validation(self) -> None:
        """Four and an evaluation took 15 s beside answers and loss: 3 s each, as often as the job has any."""
        run = _measured(evaluation_seconds=15.0 + 20.0 + 5.0, validation_count=4)
        validating = dataclasses.replace(WORK, validation_count=10)

        assert estimate(WORK, 16, [run]).seconds == pytest.approx(63 + 408)
        assert estimate(validating, 16, [run]).seconds == pytest.approx(63 + 408 + 10 * 3)
        assert estimate(WORK, 16, [run, run]).past_error_ratio == pytest.approx(0)

    def test_holds_what_a_run_took_beside_its_steps(self) -> None:
        """Checkpoints, and a first step that warms up, come again in proportion."""
        run = _measured()

        slow = dataclasses.replace(run, training_seconds=run.training_seconds * 1.5)

        assert estimate(WORK, 16, [slow]).seconds == pytest.approx(63 + 408 * 1.5)

    def test_takes_runs_that_tell_their_steps_over_those_that_do_not(self) -> None:
        """Those of an earlier release stand in where there are no others."""
        found = estimate(WORK, 16, [RUN, _measured(), RUN])

        assert (found.run_count, found.seconds) == (1, pytest.approx(63 + 408))

    def test_past_errors_are_of_whole_runs(self) -> None:
        """A calibration is no run that an estimate could have missed."""
        made = _measured(calibration=Calibration("key", datetime.now(UTC)))

        assert estimate(WORK, 16, [made, made]).past_error_ratio is None
        assert estimate(WORK, 16, [made, _measured()]).past_error_ratio == pytest.approx(0)

    def test_is_start_and_tokens_and_answers(self) -> None:
        """10 s to start, a millisecond a token, a second for each held-out row, where a run tells no more."""
        found = estimate(WORK, 16, [RUN])

        assert found.seconds == 10 + 200 + 100
        assert (found.low_seconds, found.high_seconds) == pytest.approx((310 * 0.8, 310 * 1.2))
        assert (found.run_count, found.past_error_ratio) == (1, None)

    def test_lies_between_the_best_and_the_worst_run(self) -> None:
        """The middle is the median, so that one slow day does not move it."""
        paces = [100.0, 105.0, 110.0, 120.0, 400.0]

        found = estimate(WORK, 16, [_run(training_seconds=pace) for pace in paces])

        assert found.seconds == 10 + 2 * 110 + 100
        assert found.low_seconds == pytest.approx(0.8 * 330)
        assert found.high_seconds == 10 + 2 * 400 + 100

    def test_rests_on_runs_of_the_same_rank_where_there_are_any(self) -> None:
        """Others stand in, and the answer says so."""
        runs = [_run(rank=64, training_seconds=300.0), RUN]

        same, other = estimate(WORK, 16, runs), estimate(WORK, 8, runs)

        assert (same.seconds, same.run_count, same.is_same_rank) == (310, 1, True)
        assert (other.seconds, other.run_count, other.is_same_rank) == (10 + 2 * 200 + 100, 2, False)

    def test_says_how_far_off_earlier_estimates_were(self) -> None:
        """Each run against the estimate from those before it: 160 s were told, 110, 320 and 160 it took."""
        runs = [RUN, _run(training_seconds=50.0), _run(training_seconds=260.0), RUN]

        found = estimate(WORK, 16, runs)

        # Medians before each: 100, 75, 100 s of training.
        errors = sorted([50 / 110, (320 - 135) / 320, 0.0])
        assert found.past_error_ratio == pytest.approx(errors[1])


class TestMemory:
    """Peak memory."""

    def test_is_that_of_the_smallest_run_with_batches_as_large(self) -> None:
        """Measured, not computed."""
        runs = [_run(batch_tokens=8_000, peak_bytes=3 * GIB), _run(batch_tokens=2_000, peak_bytes=2 * GIB), RUN]

        assert estimate(WORK, 16, runs).peak_bytes == GIB
        assert estimate(dataclasses.replace(WORK, batch_tokens=1_001), 16, runs).peak_bytes == 2 * GIB

    def test_grows_with_the_batch_beyond_what_was_measured(self) -> None:
        """In proportion: rather too much than too little."""
        assert estimate(dataclasses.replace(WORK, batch_tokens=3_000), 16, [RUN]).peak_bytes == 3 * GIB

    def test_of_a_job_that_validates_is_that_of_runs_that_did(self) -> None:
        """A second base is held then; without such a run it is added, at twice its size on disk while it is loaded."""
        validating = dataclasses.replace(WORK, validation_count=10, base_bytes=GIB)
        did = _run(peak_bytes=2 * GIB, validation_count=4)

        assert estimate(validating, 16, [RUN, did]).peak_bytes == 2 * GIB
        assert estimate(WORK, 16, [did, RUN]).peak_bytes == GIB
        assert estimate(validating, 16, [RUN]).peak_bytes == (1 + 2) * GIB
        assert estimate(WORK, 16, [did]).peak_bytes == 2 * GIB, "rather too much than too little"

    @pytest.mark.parametrize(("available", "fits"), [(GIB, True), (GIB - 1, False), (None, None)])
    def test_fits_where_so_much_is_free(self, available: int | None, fits: bool | None) -> None:
        """Nothing is said where nobody knows what is free."""
        found = dataclasses.replace(estimate(WORK, 16, [RUN]), available_bytes=available)

        assert found.fits is fits


class TestStore:
    """What is kept of runs."""

    def test_keeps_the_newest_of_each_kind(self, transact: Callable[..., Any]) -> None:
        """Oldest first; other bases, modes and thread counts have their own."""
        others = [_run(threads=4), _run(mode=TrainingMode.QLORA), _run(base_model_digest="sha256:1")]

        def work(connection: Any) -> list[Usage]:
            for usage in (*others, *(_run(rank=number) for number in range(KEPT_RUNS + 5))):
                calibration.add_usage(connection, usage)
            for usage in others:
                kind = (usage.base_model_digest, usage.mode, usage.threads)
                assert calibration.list_usages(connection, *kind) == [usage]
            return calibration.list_usages(connection, "sha256:0", TrainingMode.LORA, 2)

        assert [usage.rank for usage in transact(work)] == list(range(5, KEPT_RUNS + 5))

    def test_calibrations_drive_out_no_run(self, transact: Callable[..., Any]) -> None:
        """However many are asked for."""
        made = _run(calibration=Calibration("key", datetime.now(UTC)), rank=64)

        def work(connection: Any) -> list[Usage]:
            for usage in (RUN, *[made] * (KEPT_RUNS + 3)):
                calibration.add_usage(connection, usage)
            return calibration.list_usages(connection, "sha256:0", TrainingMode.LORA, 2)

        assert transact(work) == [RUN, *[made] * KEPT_RUNS]

    def test_calibrations_drive_out_none_of_another_tenant(self, transact: Callable[..., Any]) -> None:
        """Each tenant has as many of its own."""
        other, made = (
            _run(calibration=Calibration("key", datetime.now(UTC), tenant)) for tenant in ("globex", "acme")
        )  # fmt: skip

        def work(connection: Any) -> list[Usage]:
            for usage in (other, *[made] * (KEPT_RUNS + 3)):
                calibration.add_usage(connection, usage)
            return calibration.list_usages(connection, "sha256:0", TrainingMode.LORA, 2)

        assert transact(work) == [other, *[made] * KEPT_RUNS]

    def test_reads_what_an_earlier_release_wrote(self, transact: Callable[..., Any]) -> None:
        """Fields that came later have their defaults."""
        added = (
            "padded_tokens step_count steps answer_tokens answering_seconds scoring_seconds free_bytes calibration "
            "validation_count"
        ).split()
        body = json.loads(dump(RUN))
        old = json.dumps({key: value for key, value in body.items() if key not in added})
        values = {"base_model_digest": "sha256:0", "mode": "lora", "threads": 2, "body": old}

        def work(connection: Any) -> list[Usage]:
            connection.execute(insert(calibrations).values(**values))
            return calibration.list_usages(connection, "sha256:0", TrainingMode.LORA, 2)

        assert transact(work) == [RUN]

    def test_forgets_another_device(self, transact: Callable[..., Any]) -> None:
        """What was measured before the machine got a GPU says nothing now."""

        def work(connection: Any) -> list[Usage]:
            for device in ("cpu", "H200", "H200"):
                calibration.add_usage(connection, _run(device=device))
            return calibration.list_usages(connection, "sha256:0", TrainingMode.LORA, 2)

        assert [usage.device for usage in transact(work)] == ["H200", "H200"]

    def test_takes_it_from_a_runs_journal_once(self, stage: Stage) -> None:
        """As the child tells it at its end."""
        line = json.dumps({"type": "usage", **dataclasses.asdict(_measured())})
        stage.act(f"printf '%s\\n' '{line}' >> \"$3/events.jsonl\"\n" + FINISH)

        stage.serve()

        kept = lambda c: calibration.list_usages(c, "sha256:0", TrainingMode.LORA, 2)  # noqa: E731
        assert asyncio.run(stage.database.run(kept)) == [_measured()]


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
        self._store(database, clock, lengths, _run(base_model_digest=tiny_base.digest))
        spec = JobSpec(epoch_count=2, batch_size=9)

        found, plan = self._of(estimates, spec)
        message = message_of(found, plan, spec, estimates.price)

        assert (message.epoch_token_count, message.token_count, message.step_count) == (4_500, 9_000, 20)
        assert message.expected.duration.ToTimedelta().total_seconds() == 10 + 9 + 10
        assert message.expected.price == pytest.approx(0.029)
        assert message.expected.energy_kwh == pytest.approx(0.1 * 29 / 3600)
        assert message.expected.currency == "EUR"
        assert message.low.price < message.expected.price < message.high.price
        assert (message.spec.rank, message.spec.epoch_count, message.spec.batch_size) == (16, 2, 9)
        assert message.spec.learning_rate > 0
        assert not message.HasField("past_error_ratio")

    def test_counts_the_padding_of_the_rows(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """Ninety rows in batches of nine: every batch is as wide as its longest row."""
        uneven = dataclasses.replace(lengths, train_lengths=(40,) * 81 + (140,) * 9)
        self._store(database, clock, uneven, _measured(base_model_digest=tiny_base.digest))

        found, _ = self._of(estimates, JobSpec(epoch_count=2, batch_size=9))

        assert (found.work.epoch_tokens, found.work.padded_tokens) == (4_500, 2 * 4_500)

    def test_tells_whether_memory_is_free(
        self, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """On CPU it is looked up now, on a GPU it is what the last run found."""
        self._store(database, clock, lengths, _run(base_model_digest=tiny_base.digest, batch_tokens=10_000))
        estimates = Estimates(
            database, tiny_base, threads=2, price=Price(), calibrator=None, free_memory=lambda: GIB - 1
        )  # fmt: skip

        found, plan = self._of(estimates, JobSpec())
        message = message_of(found, plan, JobSpec(), estimates.price)

        assert (message.available_memory_bytes, message.fits, message.calibrated) == (GIB - 1, False, False)
        on_gpu = _run(base_model_digest=tiny_base.digest, device="H200", free_bytes=5 * GIB, batch_tokens=10_000)
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
        self._store(database, clock, lengths, _run(base_model_digest=tiny_base.digest))
        spec = JobSpec(seed=7, use_rslora=True, loraplus_ratio=16.0, initialization=Initialization.EVA)

        found, plan = self._of(estimates, spec)
        told = job_spec(message_of(found, plan, spec, estimates.price).spec)

        filled = dataclasses.replace(
            told, rank=None, alpha=None, learning_rate=None, epoch_count=None, batch_size=None,
            early_stopping_patience=None,
        )  # fmt: skip
        assert filled == spec
        assert None not in dataclasses.astuple(told)

    def test_are_not_told_of_several_processes(
        self, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """Nothing of how they share a machine was measured."""
        self._store(database, clock, lengths, _run(base_model_digest=tiny_base.digest))
        several = Estimates(database, tiny_base, threads=2, price=Price(), calibrator=None, processes=2)

        with pytest.raises(StateConflict, match="2 processes"):
            self._of(several, JobSpec())

    def test_counts_the_answers_of_validations(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """16 of the 90 rows are answered ten times, and not trained on: as if the run did not stop early."""
        self._store(database, clock, lengths, _run(base_model_digest=tiny_base.digest))
        spec = JobSpec(epoch_count=2, early_stopping_patience=3)

        found, plan = self._of(estimates, spec)

        assert (found.work.epoch_tokens, found.work.step_count) == (round(4_500 * 74 / 90), 20)
        assert found.work.answer_tokens == (10 + 10 * 16) * 10
        assert found.work.validation_count == 10
        assert message_of(found, plan, spec, estimates.price).spec.early_stopping_patience == 3

    def test_refuses_a_patience_where_too_few_rows_can_be_set_aside(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """As the job would be; a preset's is off."""
        self._store(database, clock, lengths, _run(base_model_digest=tiny_base.digest))
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
        self._store(database, clock, lengths, _run(base_model_digest=tiny_base.digest))
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
        self._store(database, clock, lengths, _run(base_model_digest=tiny_base.digest))
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
        self._store(database, clock, None, _run(base_model_digest=tiny_base.digest))

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
