"""Promotion over real stores: what jobs and callers may move, and what the record says of it."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.adapter.canary import CanarySplit, RollbackPolicy, RollbackReason
from shared.changes import Changes
from shared.errors import Conflict, InvalidInput, NotFound, StateConflict
from shared.names import AdapterName, AliasName, JobName, RevisionName
from shared.rpc.page import Page
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from tests.unit.trainer_svc.conftest import _write_finished
from tests.unit.trainer_svc.evidence_sample import compared, sound
from trainer_svc.app.live_comparison import LiveComparison, StoredAnswers
from trainer_svc.app.promotion_gate import PromotionGate
from trainer_svc.app.promotions import Promotions, PromotionWish
from trainer_svc.app.publisher import Publisher
from trainer_svc.app.registry import RegistryReader
from trainer_svc.domain.comparison import Comparison
from trainer_svc.domain.evidence import Evidence
from trainer_svc.domain.job import Job, JobSpec, JobState
from trainer_svc.domain.promotion import CheckReason
from trainer_svc.domain.promotion_policy import PromotionMode, PromotionPolicy, Threshold
from trainer_svc.domain.promotion_record import Actor, Promotion, PromotionWay
from trainer_svc.domain.registry import Alias, Revision
from trainer_svc.domain.run import RunFolder
from trainer_svc.domain.run_result import RunResult
from trainer_svc.store import history, promotion_log, shelf
from trainer_svc.store.database import Database

ADAPTER = AdapterName("acme", "a")
LIVE = AliasName("acme", "a", "live")
ADA = Actor("ada", ("admin",))
BAD = {"against_chance": (compared(0.0),)}


class Always:
    """Implements `LiveComparison`: finds the same difference between any two."""

    def __init__(self, difference: float) -> None:
        self._found = (compared(difference),)

    def compare(self, revision: Revision, live: Revision) -> tuple[Comparison, ...] | None:
        """The same."""
        return self._found


class Desk:
    """A registry, jobs that end, and callers."""

    def __init__(
        self, folder: Path, database: Database, clock: ManualClock, comparison: LiveComparison | None = None
    ) -> None:
        self.database, self.clock, self._folder, self._jobs = database, clock, folder, 0
        blobs, changes = LocalBlobStore(folder / "blobs"), Changes()
        gate = PromotionGate(comparison or StoredAnswers(blobs))
        self._publisher = Publisher(database, blobs, clock, gate)
        self._promotions = Promotions(database, changes, clock, gate)
        self._registry = RegistryReader(database, blobs, changes, clock, gate)
        _write_finished(folder)

    def __call__(self, work: Callable[..., Any]) -> Any:
        """A transaction."""
        return asyncio.run(self.database.run(work))

    def finish(self, evidence: Evidence | None, alias_id: str = "live") -> Job:
        """A job whose run ended with this evidence."""
        self._jobs += 1
        self.clock.advance(1.0)
        name = JobName("acme", f"job-{self._jobs}")
        job = Job(str(name), "d", str(ADAPTER), alias_id, JobSpec(), self.clock.now(), state=JobState.RUNNING)
        run = RunFolder(self._folder / "finished")
        result = RunResult.from_json(run.result.read_bytes())
        run.result.write_bytes(dataclasses.replace(result, evidence=evidence).to_json())
        self(lambda c: history.add_job(c, job))
        asyncio.run(self._publisher.publish(str(name), run))
        done: Job = self(lambda c: history.get_job(c, name))
        assert done.state is JobState.SUCCEEDED
        return done

    def revision(self, evidence: Evidence | None = None) -> RevisionName:
        """A revision that no job deployed."""
        return RevisionName.parse(self.finish(evidence, "-").revision)

    def set_policy(self, **fields: Any) -> None:
        """Stores a policy."""
        asyncio.run(self._promotions.update_policy(ADAPTER, PromotionPolicy(**fields), ""))

    def promote(self, revision: RevisionName, etag: str, **changes: Any) -> Alias:
        """A caller's PromoteRevision."""
        wish = PromotionWish(revision, "live", etag, None, RollbackPolicy(), "", is_override=False)
        return asyncio.run(self._promotions.promote(dataclasses.replace(wish, **changes), ADA))

    def roll_back(self, etag: str, reason: str = "slower") -> Alias:
        """A caller's RollBackAlias."""
        return asyncio.run(self._promotions.roll_back(LIVE, etag, reason, ADA))

    def set_alias(self, revision: RevisionName, canary: CanarySplit | None = None) -> Alias:
        """A caller's SetAlias."""
        return asyncio.run(self._registry.set_alias(LIVE, revision, "", canary, actor=ADA))

    def take_back(self, trial: Alias) -> Alias:
        """A replica's RollBackCanary."""
        assert trial.canary is not None
        replica = Actor("replica-1", ("service",))
        split = trial.canary
        ended = self._registry.roll_back_canary(
            LIVE, split.revision, split.start_time, RollbackReason.ERROR_RATE, "4 of 8", actor=replica
        )
        return asyncio.run(ended)

    @property
    def alias(self) -> Alias | None:
        """As it stands."""
        found: Alias | None = self(lambda c: shelf.find_alias(c, LIVE))
        return found

    @property
    def record(self) -> list[Promotion]:
        """Oldest first."""
        entries, _ = self(lambda c: promotion_log.list_promotions(c, ADAPTER, Page(100, "")))
        return list(reversed(entries))


@pytest.fixture
def desk(tmp_path: Path, database: Database, clock: ManualClock) -> Desk:
    """With revisions that have no stored answers, so that none is compared after its evaluation."""
    return Desk(tmp_path, database, clock)


def _refused(work: Callable[[], object]) -> set[str]:
    with pytest.raises(StateConflict) as caught:
        work()
    assert caught.value.reason == "PROMOTION_REFUSED"
    return {violation.path for violation in caught.value.violations}


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
        policy = RollbackPolicy(confidence=0.9)
        desk.set_policy(mode=PromotionMode.CANARY, canary_percent=7, rollback=policy)

        first = desk.finish(sound())
        second = desk.finish(sound(first.revision))
        third = desk.finish(sound(first.revision))

        alias = desk.alias
        assert alias is not None
        assert alias.canary is not None
        assert alias.revision == first.revision
        assert (str(alias.canary.revision), alias.canary.percent, alias.canary.policy) == (third.revision, 7, policy)
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
            patch.setattr(history, "record", _die)
            with pytest.raises(MemoryError):
                desk.finish(sound())

        assert (desk.alias, desk.record) == (None, [])
        with pytest.raises(NotFound):
            desk(lambda c: shelf.get_revision(c, RevisionName("acme", "a", 1)))


def _die(*_: object) -> None:
    raise MemoryError


class TestPromoteRevision:
    """What a caller may move."""

    def test_refuses_what_fails_and_obeys_an_override(self, desk: Desk) -> None:
        """Which needs a reason, and is told in the record with the report."""
        bad = desk.revision(sound(**BAD))

        assert _refused(lambda: desk.promote(bad, "")) == {"NO_BETTER_THAN_CHANCE"}
        with pytest.raises(InvalidInput, match="reason"):
            desk.promote(bad, "", is_override=True, reason=" ")
        desk.promote(bad, "", is_override=True, reason="a demonstration")

        (entry,) = desk.record
        assert (entry.cause.actor, entry.cause.reason, entry.cause.is_override) == (ADA, "a demonstration", True)
        assert entry.cause.report is not None
        assert not entry.cause.report.passed

    def test_an_override_that_was_not_needed_is_none(self, desk: Desk) -> None:
        """The record does not cry wolf."""
        desk.promote(desk.revision(sound()), "", is_override=True, reason="to be sure")

        assert not desk.record[0].cause.is_override

    def test_moves_nothing_that_is_not_recorded(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        """The alias, its change for those who watch, and the entry are one transaction."""
        own = desk.revision(sound())
        with monkeypatch.context() as patch:
            patch.setattr(promotion_log, "add_promotion", _die)
            for move in (lambda: desk.promote(own, ""), lambda: desk.set_alias(own), lambda: desk.finish(sound())):
                with pytest.raises(MemoryError):
                    move()

        assert (desk.alias, desk(lambda c: shelf.alias_changes_after(c, 0)), desk.record) == (None, [], [])

    def test_asks_for_the_etag(self, desk: Desk) -> None:
        """Of the alias as it was seen; empty where none was."""
        first, second = desk.revision(sound()), desk.revision(sound())

        with pytest.raises(Conflict):
            desk.promote(first, "1")
        alias = desk.promote(first, "")
        for etag in ("", "0", "2", "x"):
            with pytest.raises(Conflict) as caught:
                desk.promote(second, etag, is_override=True, reason="r")
            assert caught.value.metadata["etag"] == str(alias.version)

        assert len(desk.record) == 1

    def test_sent_again_changes_nothing_more(self, desk: Desk) -> None:
        """The client repeats calls whose answers were lost."""
        first, second = desk.revision(sound()), desk.revision(sound())
        alias = desk.promote(first, "")
        trial = {"is_override": True, "reason": "r", "canary_percent": 5}

        assert desk.promote(first, "") == alias
        begun = desk.promote(second, "1", **trial)
        assert desk.promote(second, "1", **trial) == begun
        with pytest.raises(Conflict):
            desk.promote(second, "1", **{**trial, "canary_percent": 6})

        assert len(desk.record) == 2

    def test_of_two_that_race_one_wins(self, desk: Desk) -> None:
        """The other is told to look again, and leaves no entry."""
        names = [desk.revision(sound()) for _ in range(8)]
        wishes = [PromotionWish(each, "live", "", None, RollbackPolicy(), "", is_override=False) for each in names]

        async def race() -> list[object]:
            calls = (desk._promotions.promote(wish, ADA) for wish in wishes)
            return await asyncio.gather(*calls, return_exceptions=True)

        outcomes = asyncio.run(race())

        assert sorted(type(each).__name__ for each in outcomes) == ["Alias", *["Conflict"] * 7]
        assert len(desk.record) == 1

    def test_sets_a_canary(self, desk: Desk) -> None:
        """Beside the revision that the alias means, and beside no other."""
        first = desk.finish(sound())
        second = desk.revision(sound(first.revision))

        alias = desk.promote(second, "1", canary_percent=10)

        assert alias.canary is not None
        assert (alias.revision, alias.canary.revision, alias.canary.percent) == (first.revision, second, 10)
        with pytest.raises(InvalidInput, match=r"canary\.revision"):
            desk.promote(RevisionName.parse(first.revision), "2", canary_percent=10)
        with pytest.raises(StateConflict, match="means no revision yet"):
            desk.promote(second, "", alias_id="other", canary_percent=10)

    @pytest.mark.parametrize("percent", [0, 100, -1, 2**31 - 1])
    def test_refuses_what_is_no_share(self, desk: Desk, percent: int) -> None:
        """A canary has from 1 to 99 percent."""
        desk.finish(sound())

        with pytest.raises(InvalidInput, match=r"canary\.percent"):
            desk.promote(desk.revision(sound()), "1", canary_percent=percent)

    def test_takes_a_revision_that_the_alias_meant_before(self, desk: Desk) -> None:
        """The way back is never barred, not by a policy that came later either."""
        first, second = desk.finish(sound()), desk.revision(None)
        desk.promote(second, "1")
        desk.set_policy(thresholds=(Threshold("rouge_l", 0.9),))

        assert desk.promote(RevisionName.parse(first.revision), "2").revision == first.revision
        assert _refused(lambda: desk.promote(desk.revision(sound()), "3")) == {"NOT_EVALUATED", "NOT_COMPARED"}


class TestSetAlias:
    """The older way, beside a policy."""

    def test_is_free_without_a_stored_policy(self, desk: Desk) -> None:
        """The record has the report all the same."""
        bad = desk.revision(sound(**BAD))

        desk.set_alias(bad)

        (entry,) = desk.record
        assert (entry.cause.way, entry.cause.actor, entry.cause.is_override) == (PromotionWay.SET_ALIAS, ADA, False)
        assert entry.cause.report is not None
        assert not entry.cause.report.passed

    def test_obeys_a_stored_policy(self, desk: Desk) -> None:
        """For revisions and for canaries, and for a canary that is promoted; the way back stays free."""
        old, good = desk.revision(sound(**BAD)), desk.revision(sound())
        bad = desk.revision(sound(str(good), **BAD))
        desk.set_alias(old)
        desk.set_alias(good)
        trial = CanarySplit(bad, 5)
        begun = desk.set_alias(good, trial)
        desk.set_policy()

        assert _refused(lambda: desk.set_alias(bad)) == {"NO_BETTER_THAN_CHANCE"}
        assert desk.set_alias(good, dataclasses.replace(trial, percent=1)).version == begun.version + 1
        desk.set_alias(good)
        assert _refused(lambda: desk.set_alias(good, trial)) == {"NO_BETTER_THAN_CHANCE"}
        assert desk.set_alias(old).revision == str(old)

    def test_leaves_no_entry_where_nothing_moves(self, desk: Desk) -> None:
        """The same again is no move."""
        own = desk.revision(sound())

        assert desk.set_alias(own) == desk.set_alias(own)

        assert len(desk.record) == 1


class TestRollBack:
    """The ways back."""

    def test_goes_to_what_was_meant_before(self, desk: Desk) -> None:
        """By etag, with a reason, past any policy; a further time a further step, until nothing is left."""
        jobs = [desk.finish(None) for _ in range(3)]
        desk.set_policy(is_evaluation_required=True)

        first = desk.roll_back("3")
        again = desk.roll_back("3")
        second = desk.roll_back("4")
        with pytest.raises(StateConflict, match="never meant another"):
            desk.roll_back("5")

        assert again == first
        assert [first.revision, second.revision] == [jobs[1].revision, jobs[0].revision]
        last = desk.record[-1]
        assert (last.cause.way, last.cause.actor, last.cause.reason) == (PromotionWay.ROLL_BACK_ALIAS, ADA, "slower")

    def test_ends_a_trial(self, desk: Desk) -> None:
        """What it was compared with serves no more."""
        first, second = desk.finish(sound()), desk.revision(sound())
        desk.set_alias(second)
        desk.set_alias(second, CanarySplit(desk.revision(sound()), 5))

        alias = desk.roll_back("3")

        assert (alias.revision, alias.canary) == (first.revision, None)

    def test_is_refused_without_etag_reason_or_alias(self, desk: Desk) -> None:
        """Each with its own error; a reason of a mebibyte is not kept."""
        with pytest.raises(NotFound):
            desk.roll_back("1")
        desk.finish(sound())
        with pytest.raises(Conflict):
            desk.roll_back("")
        for reason in ("", "  ", "x" * (1 << 20)):
            with pytest.raises(InvalidInput, match="reason") as caught:
                desk.roll_back("1", reason)
            assert len(str(caught.value)) < 200

    def test_of_a_canary_names_the_replica(self, desk: Desk) -> None:
        """With its figures; sent again it leaves no second entry."""
        desk.finish(sound())
        worse = desk.revision(sound())
        trial = desk.set_alias(RevisionName.parse(desk.alias.revision), CanarySplit(worse, 5))

        desk.take_back(trial)
        desk.take_back(trial)

        last = desk.record[-1]
        assert len(desk.record) == 3
        assert (last.cause.way, last.cause.actor.subject) == (PromotionWay.ROLL_BACK_CANARY, "replica-1")
        assert (last.cause.reason, last.from_canary, last.to_canary) == ("ERROR_RATE: 4 of 8", str(worse), "")
