"""What finished runs leave on disk, and for how long."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from pathlib import Path

import pytest

from shared.testing import ManualClock
from trainer_svc.app.retention import Retention, run_folder
from trainer_svc.domain.job import FINAL, Job, JobSpec, JobState
from trainer_svc.domain.run import RunFolder
from trainer_svc.store import history
from trainer_svc.store.database import Database

WEEK_SECONDS = 7 * 86_400.0


class Runs:
    """Folders of runs with their jobs."""

    def __init__(self, folder: Path, database: Database, clock: ManualClock) -> None:
        self.folder, self.clock, self._database = folder / "runs", clock, database
        self.retention = Retention(database, clock, runs_dir=self.folder, keep_seconds=WEEK_SECONDS)

    def add(self, state: JobState) -> Path:
        """A run of a job that is in that state since now."""
        now = self.clock.now()
        name = f"tenants/acme/jobs/{state.value}"
        job = Job(name, "tenants/acme/datasets/d", "tenants/acme/adapters/a", "live", JobSpec(), now)
        job = dataclasses.replace(job, state=state, end_time=now if state in FINAL else None)
        asyncio.run(self._database.run(lambda connection: history.add_job(connection, job)))
        folder = run_folder(self.folder, name)
        adapters = (folder.best, folder.former_best, folder.adapter, folder.package)
        for path in (folder.checkpoints / "checkpoint-5" / "optimizer.pt", *(adapter / "w" for adapter in adapters)):
            path.parent.mkdir(parents=True)
            path.touch()
        folder.events.touch()
        return folder.path

    def sweep(self) -> list[str]:
        """One sweep."""
        return asyncio.run(self.retention.sweep())


@pytest.fixture
def runs(tmp_path: Path, database: Database, clock: ManualClock) -> Runs:
    """None yet."""
    return Runs(tmp_path, database, clock)


class TestRetention:
    """The sweep."""

    @pytest.mark.parametrize("state", list(JobState))
    def test_removes_final_runs_after_a_time(self, runs: Runs, state: JobState) -> None:
        """Not a moment earlier, and never that of a job which may go on."""
        folder = runs.add(state)
        runs.clock.advance(WEEK_SECONDS - 1)
        assert runs.sweep() == []
        assert folder.exists()
        runs.clock.advance(1)

        removed = runs.sweep()

        assert (removed != []) == (not folder.exists()) == (state in FINAL)

    @pytest.mark.parametrize("state", list(JobState))
    def test_keeps_the_checkpoints_of_what_was_not_published(self, runs: Runs, state: JobState) -> None:
        """A service that died between the publication and the removal finds them in its next life."""
        folder = runs.add(state)

        runs.sweep()

        for path in (RunFolder(folder).checkpoints, RunFolder(folder).best, RunFolder(folder).former_best):
            assert path.exists() == (state is not JobState.SUCCEEDED)
        assert (folder / "events.jsonl").exists()

    def test_goes_on_past_a_folder_that_cannot_be_removed(
        self, runs: Runs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is named in the log, and the next sweep tries it again."""
        stuck, other = runs.add(JobState.CANCELLED), runs.add(JobState.FAILED)
        runs.clock.advance(WEEK_SECONDS)
        remove = shutil.rmtree

        def rmtree(path: Path) -> None:
            if path == stuck:
                raise PermissionError(path)
            remove(path)

        with monkeypatch.context() as patched:
            patched.setattr(shutil, "rmtree", rmtree)
            assert runs.sweep() == ["tenants/acme/jobs/failed"]

        assert (stuck.exists(), other.exists()) == (True, False)
        assert [record.__dict__["folder"] for record in caplog.records if record.exc_info] == [stuck.name]
        assert runs.sweep() == ["tenants/acme/jobs/cancelled"]

    def test_leaves_alone_what_is_no_jobs(self, runs: Runs) -> None:
        """A folder of another name, one of a job that is unknown, a file."""
        runs.folder.mkdir()
        (runs.folder / "lost+found").mkdir()
        (runs.folder / "tenants_acme_jobs_unknown").mkdir()
        (runs.folder / "note").touch()
        runs.clock.advance(10 * WEEK_SECONDS)

        assert runs.sweep() == []
        assert len(list(runs.folder.iterdir())) == 3

    def test_of_nothing_is_nothing(self, runs: Runs) -> None:
        """Before the first job there is no folder."""
        assert runs.sweep() == []
