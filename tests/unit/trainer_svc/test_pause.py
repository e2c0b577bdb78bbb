"""Jobs that are paused, resumed or out of time, with real child processes in shell."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from shared.errors import StateConflict
from shared.names import JobName
from tests.unit.trainer_svc.conftest import FINISH, NAME, Stage
from trainer_svc.domain.job import DEADLINE_EXCEEDED, JobState
from trainer_svc.store import history

CHECKPOINT = """printf '{"type":"checkpoint","step":5}\\n' >> "$3/events.jsonl"\n"""
STOPPABLE = 'trap \'cp "$3/stop" "$3/told"; exit 5\' TERM\n' + CHECKPOINT + "while :; do sleep 0.05; done\n"
"""A child that trains until it is stopped."""
GO_ON = 'if [ -e "$3/told" ]; then [ ! -e "$3/stop" ] || exit 4\n' + FINISH + "exit 0; fi\n"
"""The attempt after that."""


async def _reach(stage: Stage, *states: JobState, name: JobName = NAME) -> None:
    async for event in stage.jobs.watch(name, 0):
        if event.changed is not None and event.changed.state in states:
            return
    raise AssertionError(f"{name} ended before it was {states}")


async def _pause(stage: Stage) -> None:
    await stage.checkpoint()
    assert (await stage.jobs.pause(NAME)).state is JobState.PAUSING
    await _reach(stage, JobState.PAUSED)


class TestPause:
    """From RUNNING to PAUSED and on."""

    def test_stops_the_child_and_resume_goes_on_in_its_folder(self, stage: Stage) -> None:
        """The child is told why; the next attempt begins without the stop file and ends the job."""
        stage.act(GO_ON + STOPPABLE)

        async def pause_and_resume() -> None:
            await _pause(stage)
            assert (await stage.jobs.resume(NAME)).state is JobState.QUEUED
            await stage.final()

        job = stage.serve(pause_and_resume)

        assert (job.state, job.attempt, job.is_resumed) == (JobState.SUCCEEDED, 2, True)
        assert next(stage.folder.glob("runs/*/told")).read_text() == "pausing"
        assert len(stage.revisions()) == 1

    def test_frees_the_worker(self, stage: Stage) -> None:
        """With one worker, another job runs and ends while the first is paused."""
        other = JobName("globex", "other")
        stage.act('case "$3" in *globex*) exit 4;; esac\n' + STOPPABLE)

        async def pause() -> None:
            await _pause(stage)
            job = dataclasses.replace(await stage.jobs.get(NAME), name=str(other), state=JobState.QUEUED)
            await stage.database.run(lambda connection: history.add_job(connection, job))
            stage.changes.ring()
            async for _ in stage.jobs.watch(other, 0):
                pass

        assert stage.serve(pause).state is JobState.PAUSED

    def test_outlives_the_service(self, stage: Stage) -> None:
        """Paused stays paused over a restart, and goes on when it is resumed after it."""
        stage.act(GO_ON + STOPPABLE)
        assert stage.serve(lambda: _pause(stage)).state is JobState.PAUSED

        async def resume() -> None:
            await asyncio.sleep(0)
            assert (await stage.jobs.get(NAME)).state is JobState.PAUSED
            await stage.jobs.resume(NAME)
            await stage.final()

        assert stage.serve(resume).state is JobState.SUCCEEDED

    def test_of_a_child_that_does_not_listen_ends_with_the_service(self, stage: Stage) -> None:
        """A service that dies before the child has stopped leaves the job paused, not running again."""
        stage.act("trap '' TERM\n" + CHECKPOINT + "while :; do sleep 0.05; done\n")

        async def pausing() -> None:
            await stage.checkpoint()
            await stage.jobs.pause(NAME)

        assert stage.serve(pausing).state is JobState.PAUSING

        assert stage.serve(lambda: _reach(stage, JobState.PAUSED)).state is JobState.PAUSED

    def test_does_not_stop_a_run_that_had_just_finished(self, stage: Stage) -> None:
        """What is ready is published."""
        stage.act("trap '' TERM\n" + CHECKPOINT + 'until [ -e "$3/stop" ]; do sleep 0.05; done\n' + FINISH)

        async def pause() -> None:
            await stage.checkpoint()
            await stage.jobs.pause(NAME)
            await stage.final()

        assert stage.serve(pause).state is JobState.SUCCEEDED

    def test_of_a_queued_job_keeps_it_from_running(self, stage: Stage) -> None:
        """It never had a worker, and gets none."""
        stage.act("exit 4\n")

        async def queue() -> None:
            job = dataclasses.replace(await stage.jobs.get(NAME), state=JobState.QUEUED)
            await stage.database.run(lambda connection: history.save_job(connection, job))
            await stage.jobs.pause(NAME)

        asyncio.run(queue())

        async def idle() -> None:
            for _ in range(5):  # rounds of the runner
                stage.changes.ring()
                await stage.jobs.get(NAME)

        job = stage.serve(idle)

        assert (job.state, job.attempt) == (JobState.PAUSED, 0)

    def test_of_a_final_job_is_refused(self, stage: Stage) -> None:
        """And so is its resumption."""
        stage.act(FINISH)
        stage.serve()

        for verb in (stage.jobs.pause, stage.jobs.resume):
            with pytest.raises(StateConflict, match="SUCCEEDED"):
                asyncio.run(verb(NAME))


class TestRunTimeLimit:
    """Jobs that may run for so long."""

    def _limit(self, stage: Stage, seconds: float) -> None:
        async def write() -> None:
            job = dataclasses.replace(await stage.jobs.get(NAME), run_time_limit_seconds=seconds)
            await stage.database.run(lambda connection: history.save_job(connection, job))

        asyncio.run(write())

    def test_stops_the_child_and_fails_the_job(self, stage: Stage) -> None:
        """By the clock of the service; the failure is the tenant's, and the checkpoint stays."""
        stage.act('mkdir -p "$3/checkpoints"\n' + STOPPABLE)
        self._limit(stage, 100.0)

        async def run_out() -> None:
            await stage.checkpoint()
            stage.clock.advance(100.0)
            await stage.final()

        job = stage.serve(run_out)

        assert job.state is JobState.FAILED
        assert job.failure is not None
        assert (job.failure.reason, job.failure.user_error) == (DEADLINE_EXCEEDED, True)
        assert job.run_seconds == 100.0
        assert list(stage.folder.glob("runs/*/checkpoints"))

    def test_holds_over_restarts_and_not_for_the_time_between(self, stage: Stage) -> None:
        """Sixty seconds, a service that is down for a day, and forty more."""
        stage.act(STOPPABLE)
        self._limit(stage, 100.0)

        async def run_for_a_minute() -> None:
            await stage.checkpoint()
            stage.clock.advance(60.0)
            while (await stage.jobs.get(NAME)).run_seconds < 60.0:  # noqa: ASYNC110  # the runner notes it in between
                await asyncio.sleep(0.01)

        assert stage.serve(run_for_a_minute).state is JobState.RUNNING
        stage.clock.advance(86_400.0)

        async def run_out() -> None:
            while (await stage.jobs.get(NAME)).attempt < 2:  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.01)
            stage.clock.advance(39.0)
            assert not (await stage.jobs.get(NAME)).is_out_of_time(stage.clock.now())
            stage.clock.advance(1.0)
            await stage.final()

        job = stage.serve(run_out)

        assert job.failure is not None
        assert (job.failure.reason, job.attempt, job.run_seconds) == (DEADLINE_EXCEEDED, 2, 100.0)


class TestRunFolder:
    """What a job's attempts leave behind."""

    def test_of_a_published_run_holds_no_weights(self, stage: Stage) -> None:
        """They are blobs now; rows and journal stay for whoever wants to know."""
        stage.act('mkdir "$3/checkpoints" "$3/adapter"; touch "$3/checkpoints/optimizer.pt"\n' + FINISH)

        stage.serve()

        (folder,) = stage.folder.glob("runs/*")
        assert not {"checkpoints", "adapter", "package"} & {path.name for path in Path(folder).iterdir()}
        assert (folder / "run.json").is_file()
