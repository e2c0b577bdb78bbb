"""A registry over real stores, with jobs that end and callers that move its aliases."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.adapter.canary import CanarySplit, RollbackPolicy, RollbackReason
from shared.changes import Changes
from shared.errors import StateConflict
from shared.names import AdapterName, AliasName, JobName, RevisionName
from shared.rpc.page import Page
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from tests.unit.trainer_svc.evidence_sample import compared
from tests.unit.trainer_svc.finished_run import write_finished
from trainer_svc.app.live_comparison import LiveComparison, StoredAnswers
from trainer_svc.app.promotion_gate import PromotionGate
from trainer_svc.app.promotions import Promotions, PromotionWish
from trainer_svc.app.publisher import Publisher
from trainer_svc.app.registry import RegistryReader
from trainer_svc.domain.comparison import Comparison
from trainer_svc.domain.evidence import Evidence
from trainer_svc.domain.job import Job, JobSpec, JobState
from trainer_svc.domain.promotion_policy import PromotionPolicy
from trainer_svc.domain.promotion_record import Actor, Promotion
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
        write_finished(folder)

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


def refused(work: Callable[[], object]) -> set[str]:
    """Reasons for which the policy does not let it through."""
    with pytest.raises(StateConflict) as caught:
        work()
    assert caught.value.reason == "PROMOTION_REFUSED"
    return {violation.path for violation in caught.value.violations}


def die(*_: object) -> None:
    """Stands for the end of the process."""
    raise MemoryError
