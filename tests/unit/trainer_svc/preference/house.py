"""Two revisions that answered the same rows, and the preference studies of them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

from shared.names import PreferenceStudyName
from shared.rpc.page import Page
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from tests.unit.trainer_svc.preference_sample import STUDY, answered, published, wanted
from trainer_svc.app.preferences import PreferenceStudies
from trainer_svc.domain.preference import Choice, PreferencePair, PreferenceStudy, PreferenceVerdict
from trainer_svc.store.database import Database

NAME = PreferenceStudyName.parse(STUDY)
COUNT = 12
ALL = Page(1000, "")


@dataclasses.dataclass
class House:
    """Two revisions that answered 13 rows, one of them alike, and the studies of them."""

    database: Database
    blobs: LocalBlobStore
    clock: ManualClock

    def __post_init__(self) -> None:
        self.studies = PreferenceStudies(self.database, self.blobs, self.clock)
        for side in "ab":
            self.publish([*(f"{side}{n}" for n in range(COUNT)), "same"], side)

    def publish(self, answers: list[str], job: str) -> None:
        """The adapter's next revision."""
        rows = answered(answers)
        asyncio.run(self.database.run(lambda c: published(c, self.blobs, rows, self.clock.now(), job)))

    def create(self, request_id: str = "", **changes: Any) -> PreferenceStudy:
        """A study of revision 2 over revision 1."""
        asked = dataclasses.replace(wanted(self.clock.now()), **changes)
        return asyncio.run(self.studies.create(asked, request_id))[0]

    def pairs(self, name: PreferenceStudyName = NAME) -> list[PreferencePair]:
        """All of them."""
        return asyncio.run(self.studies.pairs(name, ALL))[0]

    def verdicts(self, reviewer: str, choose: Callable[[PreferencePair], Choice]) -> list[PreferenceVerdict]:
        """On every pair."""
        return [PreferenceVerdict(pair.id, reviewer, choose(pair)) for pair in self.pairs()]

    def submit(self, *verdicts: PreferenceVerdict, name: PreferenceStudyName = NAME) -> dict[str, int]:
        """How far every reviewer is then."""
        return asyncio.run(self.studies.submit(name, verdicts))[1].verdict_counts

    def close(self) -> PreferenceStudy:
        """The study with its result."""
        return asyncio.run(self.studies.close(NAME))[0]
