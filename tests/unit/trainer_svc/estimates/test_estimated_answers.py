"""Rows that a job will have answered, as its estimate counts them."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import datetime
from typing import Any

import pytest

from shared.base_model import BaseModel
from shared.errors import InvalidInput
from shared.names import AdapterName, AliasName, DatasetName, RevisionName, TenantName
from tests.unit.trainer_svc.estimates.house import estimated, store
from tests.unit.trainer_svc.usage_sample import run_with
from trainer_svc.app.estimates import Estimates
from trainer_svc.domain.job import JobSpec
from trainer_svc.domain.registry import Revision
from trainer_svc.domain.run import Preset
from trainer_svc.domain.teacher import SyntheticReport
from trainer_svc.domain.token_length import TokenLengths
from trainer_svc.store import catalog, shelf
from trainer_svc.store.database import Database
from trainer_svc.translate.estimate import estimate as message_of


def _make_live(connection: Any, adapter: AdapterName, now: datetime) -> None:
    revision = shelf.add_revision(
        connection, adapter, Revision("", "sha256:" + "0" * 64, (), "tenants/acme/jobs/j", "c", "b", now)
    )
    alias = AliasName(adapter.tenant, adapter.id, "live")
    shelf.set_alias(connection, alias, RevisionName.parse(revision.name), "", now)


class TestAnswers:
    """Of validations, of the evaluation, and of what is live."""

    def test_counts_the_answers_of_validations(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """16 of the 90 rows are answered ten times, and not trained on: as if the run did not stop early."""
        store(database, clock, lengths, run_with(base_model_digest=tiny_base.digest))
        spec = JobSpec(epoch_count=2, early_stopping_patience=3)

        found, plan = estimated(estimates, spec)

        assert (found.work.epoch_tokens, found.work.step_count) == (round(4_500 * 74 / 90), 20)
        assert found.work.answer_tokens == (10 * 16 + 4 * 2 * 10 + 10 + 64) * 10, "four states twice, base, known rows"
        assert found.work.validation_count == 10
        assert message_of(found, plan, spec, estimates.price).spec.early_stopping_patience == 3

    def test_counts_the_answers_of_what_is_live(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel
    ) -> None:
        """Under the job's own adapter and alias, to the ten rows held out; a job for no alias is compared with live."""
        store(database, clock, lengths, run_with(base_model_digest=tiny_base.digest))
        asyncio.run(database.run(lambda c: _make_live(c, AdapterName("acme", "answer"), clock.now())))
        dataset, adapter = "tenants/acme/datasets/d", "tenants/acme/adapters/answer"

        def tokens(**job: str) -> int:
            found, _ = asyncio.run(estimates.of_job(TenantName("acme"), dataset, JobSpec(), **job))
            return found.work.answer_tokens

        plain = tokens()
        assert tokens(adapter=adapter) == tokens(adapter=adapter, alias_id="-") == plain + 10 * 10
        assert tokens(adapter=adapter, alias_id="test") == tokens(adapter="tenants/acme/adapters/other") == plain
        with pytest.raises(InvalidInput, match=r"job.adapter: belongs to another tenant"):
            tokens(adapter="tenants/globex/adapters/answer")

    @pytest.mark.parametrize(("synthetic", "validating"), [(70, 16), (74, 16), (75, 0)])
    def test_sets_aside_golden_rows_only(
        self, estimates: Estimates, database: Database, clock: Any, lengths: TokenLengths, tiny_base: BaseModel,
        synthetic: int, validating: int,
    ) -> None:  # fmt: skip
        """Of 90 rows those that no teacher labelled; where they are too few a preset's patience is off, as in a run."""
        store(database, clock, lengths, run_with(base_model_digest=tiny_base.digest))
        stored = asyncio.run(database.run(lambda c: catalog.get_dataset(c, DatasetName("acme", "d"))))
        assert stored.report is not None
        report = dataclasses.replace(stored.report, synthetic=SyntheticReport(synthetic, synthetic))
        labelled = dataclasses.replace(stored, report=report)
        asyncio.run(database.run(lambda c: catalog.save_dataset(c, labelled, None)))

        found, plan = estimated(estimates, JobSpec(preset=Preset.BEST))

        assert (plan.early_stopping_patience > 0) == (validating > 0)
        assert found.work.epoch_tokens == round(4_500 * (90 - validating) / 90)
