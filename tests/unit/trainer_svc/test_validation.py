"""Jobs before they are queued: they wait for their dataset, then they are proved."""

from __future__ import annotations

import asyncio
import dataclasses
import json

from shared.adapter.package import read_package
from shared.changes import Changes
from shared.names import JobName
from tests.unit.trainer_svc.conftest import DATASET, FINISH, NAME, Stage
from trainer_svc.domain.dataset import DatasetState
from trainer_svc.domain.job import DATASET_FAILED, MAX_STALLED_ATTEMPTS, MAX_VALIDATION_SECONDS, WORKER_KILLED, JobState
from trainer_svc.store import catalog, history


def _states(stage: Stage) -> list[JobState]:
    events = asyncio.run(stage.database.run(lambda connection: history.events_after(connection, NAME, 0)))
    return [event.changed.state for event in events if event.changed is not None]


class TestValidation:
    """Between PENDING and QUEUED."""

    def test_comes_before_the_queue(self, stage: Stage) -> None:
        """Every state is in the history; the validation is no attempt."""
        stage.act(FINISH)

        job = stage.serve()

        assert job.attempt == 1
        assert _states(stage) == [
            JobState.PENDING,
            JobState.VALIDATING,
            JobState.QUEUED,
            JobState.RUNNING,
            JobState.SUCCEEDED,
        ]

    def test_that_finds_a_mistake_ends_the_job_before_it_waits(self, stage: Stage) -> None:
        """The tenant is told what the child found."""
        body = '{"reason":"CONTEXT_TOO_LONG","message":"rows[3]","user_error":true}'
        stage.validation = f"printf '{body}' > \"$3/failure.json\"; exit 3"
        stage.act(FINISH)

        job = stage.serve()

        assert (job.state, job.attempt) == (JobState.FAILED, 0)
        assert job.failure is not None
        assert (job.failure.reason, job.failure.user_error) == ("CONTEXT_TOO_LONG", True)
        assert JobState.QUEUED not in _states(stage)

    def test_that_is_killed_is_tried_again(self, stage: Stage) -> None:
        """Three times, as a training."""
        stage.validation = 'if [ ! -e "$3/died" ]; then touch "$3/died"; kill -9 $$; fi; exit 0'
        stage.act(FINISH)

        assert stage.serve().state is JobState.SUCCEEDED
        assert _states(stage).count(JobState.VALIDATING) == 2

    def test_can_be_cancelled(self, stage: Stage) -> None:
        """The child is stopped."""
        stage.validation = "trap 'exit 5' TERM; touch \"$3/begun\"; while :; do sleep 0.05; done"
        stage.act(FINISH)

        async def cancel() -> None:
            while not list(stage.folder.glob("runs/*/begun")):  # noqa: ASYNC110  # the child says nothing else
                await asyncio.sleep(0.01)
            assert (await stage.jobs.cancel(NAME)).state is JobState.CANCELLING
            await stage.final()

        job = stage.serve(cancel)

        assert (job.state, job.run_seconds) == (JobState.CANCELLED, 0.0)

    def test_that_hangs_ends_the_job(self, stage: Stage) -> None:
        """Each of three tries is stopped after its time, so that one job cannot hold up all others."""
        stage.validation = "trap 'exit 5' TERM; echo >> \"$3/begun\"; while :; do sleep 0.05; done"
        stage.act(FINISH)

        async def pass_time() -> None:
            for count in range(1, MAX_STALLED_ATTEMPTS + 1):
                while sum(len(path.read_bytes()) for path in stage.folder.glob("runs/*/begun")) < count:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                stage.clock.advance(MAX_VALIDATION_SECONDS)
            await stage.final()

        job = stage.serve(pass_time)

        assert (job.state, job.attempt) == (JobState.FAILED, 0)
        assert job.failure is not None
        assert (job.failure.reason, job.failure.user_error) == (WORKER_KILLED, False)
        assert "took more than 300 s" in job.failure.message
        assert _states(stage).count(JobState.VALIDATING) == MAX_STALLED_ATTEMPTS

    def test_goes_on_while_another_job_trains(self, stage: Stage) -> None:
        """The mistake of a job that waits is told while the only worker is busy."""
        other = JobName("globex", "other")
        body = '{"reason":"CONTEXT_TOO_LONG","message":"rows[3]","user_error":true}'
        stage.validation = f'case "$3" in *globex*) printf \'{body}\' > "$3/failure.json"; exit 3;; esac; exit 0'
        stage.act('touch "$3/begun"; while :; do sleep 0.05; done\n')

        async def second() -> None:
            while not list(stage.folder.glob("runs/*/begun")):  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.01)
            job = dataclasses.replace(await stage.jobs.get(NAME), name=str(other), state=JobState.PENDING)
            await stage.database.run(lambda connection: history.add_job(connection, job))
            stage.changes.ring()
            async for _ in stage.jobs.watch(other, 0):
                pass

        assert stage.serve(second).state is JobState.RUNNING


class TestDataset:
    """The check that a pending job waits for."""

    def test_is_waited_for(self, stage: Stage) -> None:
        """The job runs once the dataset is active, and nobody has to say so."""
        stage.act(FINISH)
        asyncio.run(stage.set_dataset(DatasetState.VALIDATING))

        async def pass_later() -> None:
            for _ in range(3):
                stage.changes.ring()
                assert (await stage.jobs.get(NAME)).state is JobState.PENDING
            await stage.set_dataset(DatasetState.ACTIVE)
            await stage.final()

        assert stage.serve(pass_later).state is JobState.SUCCEEDED

    def test_that_refuses_it_ends_the_job(self, stage: Stage) -> None:
        """The failure is the tenant's, and names the dataset."""
        stage.act(FINISH)
        asyncio.run(stage.set_dataset(DatasetState.FAILED))

        job = stage.serve()

        assert job.state is JobState.FAILED
        assert job.failure is not None
        assert (job.failure.reason, job.failure.user_error) == (DATASET_FAILED, True)
        assert str(DATASET) in job.failure.message

    def test_that_refuses_it_is_told_to_watchers_at_once(self, stage: Stage) -> None:
        """The bell rings with the job's end, not with the next heartbeat."""
        asyncio.run(stage.set_dataset(DatasetState.FAILED))
        runner, mark = stage.runner(), stage.changes.mark()

        async def until_rung() -> JobState:
            running = asyncio.create_task(runner.run())
            assert await Changes.wait(mark, 5)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            return (await stage.jobs.get(NAME)).state

        assert asyncio.run(until_rung()) is JobState.FAILED

    def test_that_never_came_to_an_end_ends_the_job(self, stage: Stage) -> None:
        """The dataset was removed, unchecked: the queue goes on."""
        stage.act(FINISH)
        asyncio.run(stage.database.run(lambda connection: catalog.remove_dataset(connection, DATASET)))

        job = stage.serve()

        assert job.failure is not None
        assert job.failure.reason == DATASET_FAILED
        assert "was removed" in job.failure.message


class TestBaseRevision:
    """A job that begins with the weights of an earlier revision."""

    def test_finds_its_package_in_the_runs_folder(self, stage: Stage) -> None:
        """Byte for byte, and without what a crash left there; gone once the job is published."""
        stage.act(FINISH)
        first = stage.serve()
        second = JobName("acme", "second")
        job = dataclasses.replace(
            first, name=str(second), state=JobState.PENDING, base_revision=first.revision, attempt=0, end_time=None
        )
        asyncio.run(stage.database.run(lambda connection: history.add_job(connection, job)))
        left = stage.folder / "runs" / "tenants_acme_jobs_second" / "start"
        left.mkdir(parents=True)
        (left / ".manifest.json.torn").touch()
        stage.act('cp -r "$3/start" "$3/seen"\n' + FINISH)

        async def end() -> None:
            async for _ in stage.jobs.watch(second, 0):
                pass

        stage.serve(end)

        digest = json.loads((left.parent / "run.json").read_text())["start_digest"]
        assert read_package(left.parent / "seen", digest)
        assert not left.exists()
