"""Removes what finished runs leave on disk: published training state at once, the rest after a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from pathlib import Path

from shared.clock import Clock
from shared.errors import InvalidInput
from shared.names import JobName
from trainer_svc.domain.job import FINAL, Job, JobState
from trainer_svc.domain.run import RunFolder
from trainer_svc.store import history
from trainer_svc.store.database import Database

_log = logging.getLogger(__name__)

_SWEEP_SECONDS = 3600.0


def run_folder(runs_dir: Path, job: str) -> RunFolder:
    """A job's folder. Ids hold no underscore, so that two jobs never share one."""
    return RunFolder(runs_dir / job.replace("/", "_"))


def drop_training_state(folder: RunFolder) -> None:
    """Removes the bulk of a run whose adapter is published: checkpoints and copies; log, journal and rows stay."""
    adapters = (folder.candidate, folder.best, folder.former_best, folder.milestones, folder.adapter, folder.draft)
    for path in (folder.checkpoints, *adapters, folder.package, folder.start, folder.live, folder.processes):
        shutil.rmtree(path, ignore_errors=True)  # the sweep comes by again


class Retention:
    """Sweeps the runs' folder at the start and then every hour.

    A cancelled or failed job keeps its checkpoints for `keep_seconds` after its end, a job that is not final for ever.
    A folder that is no job's is left alone.
    """

    def __init__(self, database: Database, clock: Clock, *, runs_dir: Path, keep_seconds: float) -> None:
        self._database, self._clock = database, clock
        self._runs_dir, self._keep_seconds = runs_dir, keep_seconds

    async def run(self) -> None:
        """Sweeps until cancelled."""
        while True:
            try:
                await self.sweep()
            except Exception:  # disk or database; the next sweep tries again
                _log.exception("old runs could not be removed")
            await asyncio.sleep(_SWEEP_SECONDS)

    async def sweep(self) -> list[str]:
        """Removes what may go now; the names of the jobs whose folders went. One that resists is logged and stays."""
        removed = []
        for path in await asyncio.to_thread(self._folders):
            job = await self._job_of(path)
            if job is None or job.state not in FINAL:
                continue
            if self._is_old(job):
                if await asyncio.to_thread(_remove, path):
                    removed.append(job.name)
            elif job.state is JobState.SUCCEEDED:
                await asyncio.to_thread(drop_training_state, RunFolder(path))
        if removed:
            _log.info("old runs removed", extra={"count": len(removed)})
        return removed

    def _folders(self) -> list[Path]:
        return sorted(path for path in self._runs_dir.iterdir() if path.is_dir()) if self._runs_dir.is_dir() else []

    async def _job_of(self, path: Path) -> Job | None:
        with contextlib.suppress(InvalidInput):
            name = JobName.parse(path.name.replace("_", "/"))
            return await self._database.run(lambda connection: history.find_job(connection, name))
        return None

    def _is_old(self, job: Job) -> bool:
        assert job.end_time is not None, "a final job has an end"
        return (self._clock.now() - job.end_time).total_seconds() >= self._keep_seconds


def _remove(path: Path) -> bool:
    """Whether the folder is gone; one that cannot be removed must not keep the others."""
    try:
        shutil.rmtree(path)
    except OSError:  # the next sweep tries again
        _log.exception("an old run could not be removed", extra={"folder": path.name})
        return False
    return True
