"""What a finished job does with its alias."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from shared.adapter.canary import RollbackPolicy
from shared.errors import NotFound
from shared.names import RevisionName
from shared.testing import ManualClock
from tests.unit.trainer_svc.evidence_sample import sound
from tests.unit.trainer_svc.promotion_desk import BAD, Always, Desk, die
from trainer_svc.domain.promotion import CheckReason
from trainer_svc.domain.promotion_policy import PromotionMode, RollbackWish
from trainer_svc.domain.promotion_record import PromotionWay
from trainer_svc.store import history, shelf
from trainer_svc.store.database import Database


class TestJobs:
    """What a finished job does with its alias."""

    def test_promote_what_passes(self, desk: Desk) -> None:
        """Report and evidence stay with the revision, the report with the job, and the record says it all."""
        job = desk.finish(sound())

        stored = desk(lambda c: shelf.get_revision(c, RevisionName.parse(job.revision)))
        assert (stored.evidence, stored.report) == (sound(), job.promotion)
        assert job.promotion is not None
        assert job.promotion.passed
        assert desk.alias is not None
        assert desk.alias.revision == job.revision
        (entry,) = desk.record
        assert (entry.number, entry.from_revision, entry.to_revision) == (1, "", job.revision)
        assert (entry.cause.way, entry.cause.actor.job) == (PromotionWay.TRAINING_JOB, job.name)
        assert (entry.cause.report, entry.measures["exact_match"]) == (job.promotion, 0.8)

    def test_publish_what_fails_and_leave_the_alias(self, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
        """The job succeeds, and it, the log and the audit log say why."""
        first = desk.finish(sound())

        with caplog.at_level(logging.INFO):
            second = desk.finish(sound(first.revision, **BAD))

        assert desk.alias is not None
        assert desk.alias.revision == first.revision != second.revision
        assert second.promotion is not None
        assert [each.reason for each in second.promotion.stopping] == [CheckReason.NO_BETTER_THAN_CHANCE]
        assert len(desk.record) == 1
        told = {line.name: vars(line) for line in caplog.records}
        assert told["trainer_svc.app.publisher"]["reasons"] == ["NO_BETTER_THAN_CHANCE"]
        assert told["goldsmith.audit"]["outcome"] == "FAILED_PRECONDITION"

    def test_without_evidence_promote_as_they_always_did(self, desk: Desk) -> None:
        """Unless a stored policy asks for it."""
        first = desk.finish(None)
        desk.set_policy(is_evaluation_required=True)
        second = desk.finish(None)

        assert desk.alias is not None
        assert desk.alias.revision == first.revision
        assert second.promotion is not None
        assert {each.reason for each in second.promotion.stopping} == {CheckReason.NOT_EVALUATED}

    def test_for_no_alias_are_never_promoted(self, desk: Desk) -> None:
        """Nor reported on: there is nothing to hold them against."""
        job = desk.finish(sound(), "-")

        assert (job.promotion, desk.alias, desk.record) == (None, None, [])

    def test_in_manual_mode_wait_for_a_person(self, desk: Desk) -> None:
        """The report says that it passed, and in which mode."""
        desk.set_policy(mode=PromotionMode.MANUAL)

        job = desk.finish(sound())

        assert job.promotion is not None
        assert (job.promotion.passed, job.promotion.mode, desk.alias) == (True, PromotionMode.MANUAL, None)

    def test_in_canary_mode_begin_a_trial(self, desk: Desk) -> None:
        """The first revision has nothing to stand beside, and serves; the next takes the place of one on trial."""
        desk.set_policy(mode=PromotionMode.CANARY, canary_percent=7, rollback=RollbackWish(confidence=0.9))

        first = desk.finish(sound())
        second = desk.finish(sound(first.revision))
        third = desk.finish(sound(first.revision))

        alias = desk.alias
        assert alias is not None
        assert alias.canary is not None
        assert alias.revision == first.revision
        assert (str(alias.canary.revision), alias.canary.percent) == (third.revision, 7)
        assert alias.canary.policy == RollbackPolicy(confidence=0.9)
        assert (second.ended_canary, third.ended_canary) == ("", second.revision)
        last = desk.record[-1]
        assert (last.from_revision, last.to_revision) == (first.revision,) * 2
        assert (last.from_canary, last.to_canary, last.to_canary_percent) == (second.revision, third.revision, 7)

    def test_wait_where_the_live_revision_changed_since(self, desk: Desk) -> None:
        """What they were compared with serves no more, and nobody compared them with what does."""
        first = desk.finish(sound())
        desk.set_alias(desk.revision(sound()))

        job = desk.finish(sound(first.revision))

        assert job.promotion is not None
        assert {each.reason for each in job.promotion.stopping} == {CheckReason.NOT_COMPARED}
        assert job.promotion.live_revision != first.revision

    @pytest.mark.parametrize(("difference", "passes"), [(0.01, True), (-0.2, False)])
    def test_are_compared_anew_where_that_can_be_done(
        self, tmp_path: Path, database: Database, clock: ManualClock, difference: float, *, passes: bool
    ) -> None:
        """By what is stored of both revisions' answers."""
        desk = Desk(tmp_path, database, clock, Always(difference))
        desk.finish(sound())

        job = desk.finish(sound(""))

        assert job.promotion is not None
        assert job.promotion.passed is passes

    def test_write_no_entry_when_they_die(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        """Revision, alias, entry and the job's end are one transaction."""
        with monkeypatch.context() as patch:
            patch.setattr(history, "record", die)
            with pytest.raises(MemoryError):
                desk.finish(sound())

        assert (desk.alias, desk.record) == (None, [])
        with pytest.raises(NotFound):
            desk(lambda c: shelf.get_revision(c, RevisionName("acme", "a", 1)))
