"""The canaries on trial, found by their alias, by themselves, and by the revision that each is beside."""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from inference_svc.domain.canary_judge import CanaryJudge, Side, Verdict
from shared.adapter.canary import CanarySplit
from shared.names import AliasName, RevisionName


@dataclass(frozen=True)
class Draw:
    """On which side of which trial a request came by chance."""

    alias: AliasName
    start_time: datetime
    side: Side
    revision: RevisionName


@dataclass(eq=False)
class Trial:
    """One canary beside one revision."""

    alias: AliasName
    live: RevisionName
    split: CanarySplit
    judge: CanaryJudge
    verdict: Verdict | None = None
    """Set once it was found to be worse: it gets nothing from then on, whatever the registry says."""
    task: asyncio.Task[None] | None = None
    """Loads it; after the verdict, tells the registry."""
    rest: float = 0.0
    """Seconds that it was put off for when its load failed last."""
    not_before: float = -math.inf
    """When it may be tried next, of the monotonic clock in seconds."""

    def put_off(self, seconds: float) -> None:
        """It was tried in vain, and is not again before so long."""
        self.not_before = time.monotonic() + seconds

    @property
    def is_idle(self) -> bool:
        """Whether nothing is done for it now."""
        return self.task is None or self.task.done()

    def is_same(self, live: RevisionName, split: CanarySplit) -> bool:
        """Whether the registry still means this trial."""
        return (self.live, self.split.revision, self.split.start_time) == (live, split.revision, split.start_time)


class Trials:
    """At most one for each alias."""

    def __init__(self) -> None:
        self._trials: dict[AliasName, Trial] = {}
        self._of: defaultdict[RevisionName, dict[AliasName, Trial]] = defaultdict(dict)
        self._beside: defaultdict[RevisionName, dict[AliasName, Trial]] = defaultdict(dict)

    def __iter__(self) -> Iterator[Trial]:
        """All of them."""
        return iter(self._trials.values())

    def __contains__(self, trial: Trial) -> bool:
        """Whether it has not ended."""
        return self._trials.get(trial.alias) is trial

    def get(self, alias: AliasName) -> Trial | None:
        """That of an alias."""
        return self._trials.get(alias)

    def of(self, canary: RevisionName) -> Collection[Trial]:
        """Those of a canary."""
        found = self._of.get(canary)
        return [*found.values()] if found else ()

    def beside(self, live: RevisionName) -> Collection[Trial]:
        """Those whose canaries are beside a revision."""
        found = self._beside.get(live)
        return [*found.values()] if found else ()

    def begin(self, trial: Trial) -> None:
        """From now on; that of before, of the same alias, has ended."""
        assert trial.alias not in self._trials, trial
        self._trials[trial.alias] = trial
        self._of[trial.split.revision][trial.alias] = trial
        self._beside[trial.live][trial.alias] = trial

    def end(self, trial: Trial) -> None:
        """It is over."""
        del self._trials[trial.alias]
        for index, revision in ((self._of, trial.split.revision), (self._beside, trial.live)):
            del index[revision][trial.alias]
            if not index[revision]:
                del index[revision]
