"""Canaries on this replica: who gets one, whether it is worse, and how it is taken back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from inference_svc.app.canary_file import CanaryFile, SavedTrial
from inference_svc.app.meter import DEADLINE_PASSED, INTERNAL, OK, UNOBSERVED, Meter, outcome_of
from inference_svc.app.ports import Registry
from inference_svc.app.progress import Progress
from inference_svc.app.revisions import Revisions
from inference_svc.app.trials import Draw, Trial, Trials
from inference_svc.domain.canary_choice import CanaryChoice
from inference_svc.domain.canary_judge import CanaryJudge, Sample, Side, Verdict
from inference_svc.domain.residency import QUARANTINED, Resident, ResidentState
from shared.adapter.canary import CanarySplit, RollbackReason
from shared.changes import Changes
from shared.errors import DomainError, InvalidInput, NotFound
from shared.names import AliasName, RevisionName

_log = logging.getLogger(__name__)

_FIRST_RETRY_SECONDS, _MAX_RETRY_SECONDS = 0.2, 30.0
_NO_PLACE_SECONDS = 0.5
"""Until a place is looked for again, when a request is drawn for a canary that found none."""
_NEVER_TAKEN = (NotFound, InvalidInput)
"""Refusals of the registry that the same report meets again: the alias is gone, or the words are wrong."""
_AT_ONCE = 2
"""Loads of canaries: more would only wait for each other, and requests' own loads for them."""
_MAX_AHEAD = 8
"""Canaries that are loaded before a request is drawn: a replica may follow thousands of aliases that have one."""
_FAULTS = frozenset(
    {"FORMAT_CHECK_FAILED", "GUARANTEE_BROKEN", "ADAPTER_REJECTED", QUARANTINED, INTERNAL, DEADLINE_PASSED}
)
"""Ends of a request that are its adapter's fault, which is barred for a time, too, when it has killed the engine. What
is neither one of them nor OK says nothing about it: mistakes of callers, quotas, cancellations, a dead engine."""


class Canaries:
    """Owns the trials; all methods run on one event loop, so plain assignments are atomic.

    A canary is loaded in the background when the revision that it is beside is in the engine, and when a request is
    drawn: elsewhere nobody uses the alias, and there is nothing to compare it with. It displaces nothing that is in
    use: where more revisions are hot than there are places it gets none, and nobody's requests pay for a trial.
    """

    def __init__(
        self, revisions: Revisions, registry: Registry, *, state_file: Path, chance: Callable[[], float],
        changes: Changes, release: Callable[[RevisionName], Awaitable[None]], meter: Meter = UNOBSERVED,
    ) -> None:  # fmt: skip
        """`chance` is uniform in [0, 1); `release` is told each revision that is on trial no more."""
        self._revisions, self._registry = revisions, registry
        self._file = CanaryFile(state_file, self._saved)
        self._chance, self._changes, self._release, self._meter = chance, changes, release, meter
        self._trials = Trials()
        self._loading = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def restore(self) -> None:
        """Goes on with the trials of before a restart; aliases must have been restored."""
        for alias, saved in self._file.read().items():
            if saved.digest:
                self._revisions.register(saved.split.revision, saved.digest)
            self.follow(AliasName.parse(alias), saved.live, saved.split, saved.verdict)

    def follow(
        self, alias: AliasName, live: RevisionName, split: CanarySplit | None, verdict: Verdict | None = None
    ) -> None:
        """What the registry says of an alias's canary now; `verdict` is one from before a restart.

        A change of percent or policy goes on with the trial, and with a verdict that was reached.
        """
        old = self._trials.get(alias)
        if old is not None and split is not None and old.is_same(live, split):
            if old.split != split:
                old.split = split
                old.judge.restart(split.policy)
                self._changed()
            return
        if old is not None:
            self._trials.end(old)
            _cancel(old.task)
        if split is not None:
            trial = Trial(alias, live, split, CanaryJudge(split.policy, self._chance), verdict)
            self._trials.begin(trial)
            self._revisions.register(split.revision)
            if verdict is None:
                self._load_ahead(trial)
            else:
                self._begin(trial, self._tell(trial, verdict))
        if old is not None:
            self._track(self._release(old.split.revision))
        if old is not None or split is not None:
            self._changed()

    def draw(
        self, alias: AliasName, serving: RevisionName | None, choice: CanaryChoice
    ) -> tuple[RevisionName | None, Draw | None]:
        """The canary, if a request for `alias` gets it; and its place in the trial, if chance decided.

        The trial waits until `serving`, what the alias means here now, is the revision it is beside.

        A canary that does not serve here gets nothing; that it was evicted, or lost with the engine, loads it again.
        """
        trial = self._trials.get(alias)
        if trial is None or trial.live != serving or choice is CanaryChoice.NEVER or not self._serves(trial):
            return None, None
        revision, start = trial.split.revision, trial.split.start_time
        if choice is CanaryChoice.ALWAYS:
            return revision, None
        if self._chance() * 100 < trial.split.percent:
            return revision, Draw(alias, start, Side.CANARY, revision)
        return None, Draw(alias, start, Side.LIVE, trial.live)

    @contextmanager
    def judged(self, draw: Draw | None, progress: Progress) -> Iterator[None]:
        """Around a request: what becomes of it counts for its side of the trial."""
        error: BaseException | None = None
        try:
            yield
        except BaseException as err:
            error = err
            raise
        finally:
            if draw is not None:
                self._note(draw, progress, outcome_of(progress, error))

    def trial(self, alias: AliasName) -> Trial | None:
        """The trial of an alias."""
        return self._trials.get(alias)

    def moved(self, resident: Resident) -> None:
        """Loads the canaries beside a revision that serves now."""
        if resident.state is ResidentState.LIVE:
            for trial in self._trials.beside(resident.revision):
                self._load_ahead(trial)

    def shares(self, revision: RevisionName) -> list[tuple[str, int]]:
        """Aliases whose canary this revision is, with the percent that it gets now: 0 while it serves none."""
        return sorted(
            (str(trial.alias), trial.split.percent if self._is_open(trial) else 0)
            for trial in self._trials.of(revision)
        )

    def is_meant(self, revision: RevisionName) -> bool:
        """Whether a revision is on trial and was not taken back."""
        return any(trial.verdict is None for trial in self._trials.of(revision))

    def found_out(self, revision: RevisionName) -> None:
        """A revision computed NaN or infinity, whoever asked it: that needs neither chance nor statistics."""
        for trial in self._trials.of(revision):
            if trial.verdict is None and trial.split.policy.watched:
                self._condemn(trial, Verdict(RollbackReason.ERROR_RATE, "it computed NaN or infinity: quarantined"))

    async def stop(self) -> None:
        """Ends loads and reports that run, and keeps what was reached."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._file.stop()

    def _is_open(self, trial: Trial) -> bool:
        resident = self._revisions.known.get(trial.split.revision)
        return trial.verdict is None and resident is not None and resident.is_open

    def _serves(self, trial: Trial) -> bool:
        if self._is_open(trial):
            return True
        self._bring(trial)
        return False

    def _load_ahead(self, trial: Trial) -> None:
        """Before a request is drawn, where the alias seems to be used, unless many others are being loaded so."""
        if self._is_used(trial) and len(self._tasks) < _MAX_AHEAD:
            self._bring(trial)

    def _bring(self, trial: Trial) -> None:
        """Begins to load a canary, unless that was tried in vain a moment ago."""
        is_due = trial.is_idle and time.monotonic() >= trial.not_before
        if is_due and self._is_wanted(trial) and not self._is_rejected(trial.split.revision):
            self._begin(trial, self._load(trial))

    def _is_wanted(self, trial: Trial) -> bool:
        return trial in self._trials and trial.verdict is None

    def _is_used(self, trial: Trial) -> bool:
        """Whether the revision that a canary is beside is in the engine."""
        live = self._revisions.known.get(trial.live)
        return live is not None and live.is_served

    def _is_rejected(self, revision: RevisionName) -> bool:
        """For ever: a bar that ends does not count."""
        resident = self._revisions.known.get(revision)
        return resident is not None and resident.is_condemned

    def _note(self, draw: Draw, progress: Progress, outcome: str) -> None:
        trial = self._trials.get(draw.alias)
        is_current = trial is not None and trial.split.start_time == draw.start_time and trial.verdict is None
        if trial is None or not is_current or str(draw.revision) != progress.revision or not progress.attempts:
            return
        if outcome != OK and outcome not in _FAULTS:
            return
        seconds = None
        if outcome == OK:
            timing = progress.timing()
            seconds = timing.engine + timing.check
        sample = Sample(outcome != OK, len(progress.attempts) > 1, seconds)
        verdict = trial.judge.note(draw.side, sample)
        if verdict is not None:
            self._condemn(trial, verdict)

    def _condemn(self, trial: Trial, verdict: Verdict) -> None:
        trial.verdict = verdict
        seen = {"alias": str(trial.alias), "revision": str(trial.split.revision), "reason": verdict.reason.value}
        _log.warning("canary rolled back", extra={**seen, "figures": verdict.description})
        self._meter.canary_rolls_back(trial.alias, trial.split.revision, verdict.reason)
        _cancel(trial.task)
        self._begin(trial, self._tell(trial, verdict))
        self._track(self._release(trial.split.revision))
        self._changed()

    def _changed(self) -> None:
        self._changes.ring()
        self._file.save()

    def _saved(self) -> dict[str, SavedTrial]:
        known = self._revisions.known
        return {
            str(trial.alias): SavedTrial(
                trial.live,
                trial.split,
                known[trial.split.revision].digest if trial.split.revision in known else "",
                trial.verdict,
            )
            for trial in self._trials
        }

    def _begin(self, trial: Trial, work: Awaitable[None]) -> None:
        trial.task = self._track(work)

    def _track(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _load(self, trial: Trial) -> None:
        """One try, which displaces nothing in use; the next request that is drawn is cause for another."""
        revision, is_there = trial.split.revision, self._is_open(trial)
        try:
            if not is_there:
                await self._revisions.pinned()
            async with nullcontext() if is_there else self._loading:
                resident = await self._revisions.beside(revision) if self._is_wanted(trial) else None
        except Exception as err:
            _log.exception("canary not loaded", extra={"revision": str(revision), "detail": str(err)})
            trial.rest = min(_MAX_RETRY_SECONDS, max(_FIRST_RETRY_SECONDS, 2 * trial.rest))
            trial.put_off(trial.rest)
            return
        if resident is None:
            trial.put_off(_NO_PLACE_SECONDS)
        if resident is None or not self._is_wanted(trial):
            return
        if resident.state is ResidentState.DRAINING and resident.is_open:  # on trial again while its last requests run
            resident.move(ResidentState.LIVE)
        trial.rest = 0.0
        _log.info("canary serves", extra={"alias": str(trial.alias), "revision": str(revision)})
        self._changed()

    async def _tell(self, trial: Trial, verdict: Verdict) -> None:
        """Tells the registry, again and again until it knows, never will, or the trial is over."""
        delay = _FIRST_RETRY_SECONDS
        while trial in self._trials:
            try:
                await self._registry.roll_back_canary(trial.alias, trial.split, verdict.reason, verdict.description)
            except DomainError as err:
                seen = {"alias": str(trial.alias), "reason": err.reason, "detail": str(err)}
                if isinstance(err, _NEVER_TAKEN):
                    _log.error("roll back not told to the registry, which refuses it", extra=seen)
                    return
                _log.warning("roll back not told to the registry, will retry", extra=seen)
                await asyncio.sleep(delay)
                delay = min(_MAX_RETRY_SECONDS, 2 * delay)
                continue
            return


def _cancel(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
