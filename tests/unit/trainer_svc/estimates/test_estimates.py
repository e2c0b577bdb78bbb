"""Estimates of training jobs from what earlier runs took."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from shared.architecture import architecture_of
from shared.base_model import BaseModel
from tests.unit.trainer_svc.estimates.house import estimated, store
from tests.unit.trainer_svc.usage_sample import GIB, measured, run_with
from trainer_svc.app.estimates import Estimates
from trainer_svc.domain.batch import padded_tokens
from trainer_svc.domain.estimate import Price
from trainer_svc.domain.job import JobSpec
from trainer_svc.domain.plan import learning_rate
from trainer_svc.domain.run import Initialization
from trainer_svc.domain.token_length import TokenLengths
from trainer_svc.store import calibration
from trainer_svc.store.database import Database
from trainer_svc.translate.estimate import estimate as message_of
from trainer_svc.translate.job import job_spec


class TestEstimates:
    """The use case."""

    def test_tells_tokens_steps_time_and_money(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """Of the settings as a job would fill them in."""
        store(database, clock, lengths, run_with(base_model_digest=tiny_base.digest))
        spec = JobSpec(epoch_count=2, batch_size=9)

        found, plan = estimated(estimates, spec)
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
        store(database, clock, uneven, measured(base_model_digest=tiny_base.digest))

        found, _ = estimated(estimates, JobSpec(epoch_count=2, batch_size=9))

        assert found.work.epoch_tokens == 4_500
        assert found.work.padded_tokens == 2 * padded_tokens(uneven.train_lengths, 90, 9) > 2 * (40 * 81 + 144 * 9)

    def test_tells_whether_memory_is_free(
        self, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """On CPU it is looked up now, on a GPU it is what the last run found."""
        store(database, clock, lengths, run_with(base_model_digest=tiny_base.digest, batch_tokens=10_000))
        estimates = Estimates(
            database, tiny_base, threads=2, price=Price(), calibrator=None, free_memory=lambda: GIB - 1
        )  # fmt: skip

        found, plan = estimated(estimates, JobSpec())
        message = message_of(found, plan, JobSpec(), estimates.price)

        assert (message.available_memory_bytes, message.fits, message.calibrated) == (GIB - 1, False, False)
        on_gpu = run_with(base_model_digest=tiny_base.digest, device="H200", free_bytes=5 * GIB, batch_tokens=10_000)
        asyncio.run(database.run(lambda c: calibration.add_usage(c, on_gpu)))
        assert estimated(estimates, JobSpec())[0].available_bytes == 5 * GIB

    def test_is_of_all_the_settings_that_were_sent(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """What the plan does not fill in stays as it was."""
        store(database, clock, lengths, run_with(base_model_digest=tiny_base.digest))
        spec = JobSpec(seed=7, use_rslora=True, loraplus_ratio=16.0, initialization=Initialization.EVA)

        found, plan = estimated(estimates, spec)
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
        store(database, clock, lengths, run_with(base_model_digest=tiny_base.digest))
        qwen = dataclasses.replace(tiny_base, architecture=architecture_of("qwen3"))

        _, plan = estimated(Estimates(database, qwen, threads=2, price=Price(), calibrator=None), JobSpec())

        assert plan.learning_rate == learning_rate(tiny_base.hidden_size, "qwen3")

    def test_takes_lengths_of_its_own_base_model(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """By its digest."""
        own = dataclasses.replace(lengths, base_model_digest=tiny_base.digest)
        store(database, clock, own, run_with(base_model_digest=tiny_base.digest))

        assert estimated(estimates, JobSpec())[0].work.epoch_tokens == 4_500

    def test_says_nothing_of_money_without_a_price(
        self, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """Absent is not free."""
        store(database, clock, lengths, run_with(base_model_digest=tiny_base.digest))
        estimates = Estimates(database, tiny_base, threads=2, price=Price(0.0, "EUR", 0.0), calibrator=None)

        found, plan = estimated(estimates, JobSpec())
        message = message_of(found, plan, JobSpec(), estimates.price)

        assert not message.expected.HasField("price")
        assert not message.expected.HasField("energy_kwh")
        assert message.expected.currency == ""
