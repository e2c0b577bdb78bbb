"""Measures on demand what a job would take: a child process takes some of its steps and answers some of its holdout."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from shared.base_model import BaseModel
from shared.clock import Clock
from shared.digest import sha256_bytes
from shared.errors import InternalFault, InvalidInput, StateConflict, Unavailable
from shared.names import DatasetName
from trainer_svc.app.machine import Machine, busy
from trainer_svc.app.run_files import RunFiles
from trainer_svc.app.worker_process import run_worker
from trainer_svc.domain.dataset import Dataset
from trainer_svc.domain.estimate import Calibration, Usage
from trainer_svc.domain.fault import FAILURES, fault_of
from trainer_svc.domain.job import DISK_FULL, OUT_OF_MEMORY, JobSpec
from trainer_svc.domain.plan import TrainingPlan
from trainer_svc.domain.run import (
    CALIBRATE_FLAG,
    EXIT_DISK_FULL,
    EXIT_DONE,
    EXIT_OUT_OF_MEMORY,
    EXIT_USER_ERROR,
    RunFolder,
)
from trainer_svc.store import calibration
from trainer_svc.store.codec import load
from trainer_svc.store.database import Database

_log = logging.getLogger(__name__)

MAX_SECONDS = 600.0
"""Of one calibration: it takes some 30 s for the shipped base; a base of which ten steps and the loading take longer
is measured by its first job."""
KEPT_HOURS = 24.0
"""For which the same job is not measured again: a machine changes, and so does what else runs on it."""


@dataclass(frozen=True)
class Wanted:
    """A job that is to be measured."""

    dataset: Dataset
    spec: JobSpec
    plan: TrainingPlan

    @property
    def key(self) -> str:
        """The same for jobs whose steps are alike: the number of epochs, say, changes nothing about a step.

        One that validates holds a second base.
        """
        parts = [self.dataset.name, self.dataset.digest, self.spec.mode, self.plan.rank, self.plan.batch_size]
        validating = ["validating"] if self.plan.early_stopping_patience else []
        return sha256_bytes(json.dumps(parts + validating).encode())


class Calibrator:
    """Makes one calibration at a time, on a machine on which nothing trains meanwhile.

    Calls for the same job share one. It goes on when its callers hang up, since the next one will ask for the same, and
    ends after `MAX_SECONDS`.
    """

    def __init__(
        self, *, database: Database, files: RunFiles, machine: Machine, clock: Clock, base: BaseModel, folder: Path,
        threads: int,
    ) -> None:  # fmt: skip
        self._database, self._files, self._machine, self._clock = database, files, machine, clock
        self._base, self._folder, self._threads = base, RunFolder(folder), threads
        self._key = ""
        self._task: asyncio.Task[Usage] | None = None

    async def begin(self) -> None:
        """Removes what a death of the service left."""
        await asyncio.to_thread(shutil.rmtree, self._folder.path, ignore_errors=True)

    async def stop(self) -> None:
        """Kills the child."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def measure(self, wanted: Wanted) -> Usage:
        """What the job's steps and answers take; the stored calibration where there is one of the last `KEPT_HOURS`.

        Raises:
            InvalidInput: the dataset or the settings do not allow the job.
            StateConflict: NOT_MEASURED, it took too long, or memory or disk ran out.
            Exhausted: QUEUE_FULL, jobs run or wait, or another job is measured.
            Unavailable: the process ends.
        """
        stored = await self._stored(wanted)
        if stored is not None:
            return stored
        task = self._join(wanted)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                raise  # the caller hung up
            raise Unavailable("NOT_SERVING", "the trainer ends", hint="ask again when it is back") from None

    def _join(self, wanted: Wanted) -> asyncio.Task[Usage]:
        if self._task is None or self._task.done():
            self._key, self._task = wanted.key, asyncio.create_task(self._make(wanted))
            self._task.add_done_callback(_log_failure)
        elif self._key != wanted.key:
            raise busy("another calibration is made")
        return self._task

    async def _stored(self, wanted: Wanted) -> Usage | None:
        mode, since = wanted.spec.mode, self._clock.now() - timedelta(hours=KEPT_HOURS)
        usages = await self._database.run(
            lambda c: calibration.list_usages(c, self._base.digest, mode, self._threads)
        )  # fmt: skip
        return next((usage for usage in reversed(usages) if _is_of(usage, wanted.key, since)), None)

    async def _make(self, wanted: Wanted) -> Usage:
        stored = await self._stored(wanted)  # it may have been made between the caller's look and now
        if stored is not None:
            return stored
        async with self._machine.alone():
            try:
                usage = await self._run(wanted)
            finally:
                await self.begin()
        tenant = DatasetName.parse(wanted.dataset.name).tenant
        made = dataclasses.replace(usage, calibration=Calibration(wanted.key, self._clock.now(), tenant))
        await self._database.run(lambda c: calibration.add_usage(c, made))
        return made

    async def _run(self, wanted: Wanted) -> Usage:
        await self._lay_out(wanted)
        begin = self._clock.now()

        async def look() -> str:
            return "too long" if (self._clock.now() - begin).total_seconds() >= MAX_SECONDS else ""

        status = await run_worker(self._folder, threads=self._threads, look=look, flags=(CALIBRATE_FLAG,))
        if status == EXIT_DONE:
            return await asyncio.to_thread(_told, self._folder)
        is_late = bool(await look())
        raise await asyncio.to_thread(_refusal, self._folder, status, is_late=is_late)

    async def _lay_out(self, wanted: Wanted) -> None:
        dataset = wanted.dataset.name
        try:
            await self.begin()
            self._folder.path.mkdir(parents=True)
            await self._files.write(self._folder, wanted.spec, job=f"calibration of {dataset}", dataset=dataset)
        except OSError as err:
            if fault_of(err) != DISK_FULL:
                raise
            raise _unmeasured(FAILURES[DISK_FULL].message) from err


def _is_of(usage: Usage, key: str, since: datetime) -> bool:
    made = usage.calibration
    return made is not None and made.key == key and made.time >= since


def _told(folder: RunFolder) -> Usage:
    bodies = [json.loads(line) for line in folder.events.read_bytes().splitlines()]
    body = next(body for body in bodies if body.pop("type") == "usage")
    return load(Usage, json.dumps(body))


def _refusal(folder: RunFolder, status: int, *, is_late: bool) -> Exception:
    """What the caller is told of a calibration that came to nothing."""
    if is_late:
        return _unmeasured(f"the calibration took more than {MAX_SECONDS:g} s", "let one job run to its end")
    if status == EXIT_USER_ERROR:
        failure = json.loads(folder.failure.read_bytes())
        return InvalidInput(failure["reason"], failure["message"])
    if status == EXIT_DISK_FULL:
        return _unmeasured(FAILURES[DISK_FULL].message)
    if status == EXIT_OUT_OF_MEMORY:
        return _unmeasured(FAILURES[OUT_OF_MEMORY].message)
    _log.error("calibration ended", extra={"status": status, "tail": _tail(folder)})
    if status < 0:
        return _unmeasured("the calibration was killed, as it is where the machine has no more memory")
    return InternalFault("INTERNAL", "the calibration failed", hint="the operator finds why in the trainer's log")


def _unmeasured(message: str, hint: str = "") -> StateConflict:
    return StateConflict("NOT_MEASURED", message, hint=hint)


def _tail(folder: RunFolder) -> str:
    with contextlib.suppress(OSError):
        return (folder.path / "log").read_text(errors="replace")[-2000:]
    return ""


def _log_failure(task: asyncio.Task[Usage]) -> None:
    """Also takes the exception, which nobody else does where all callers hung up."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.info("no calibration was made", extra={"error": str(error)})
