"""The runner with real child processes, whose behaviour a few lines of shell decide."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from shared.adapter.manifest import AdapterManifest
from shared.adapter.package import CONFIG_NAME, WEIGHTS_NAME, write_package
from shared.base_model import BaseModel
from shared.changes import Changes
from shared.contracts.spec import ContractKind, ContractSpec
from shared.names import AdapterName, JobName
from shared.rpc.page import Page
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from trainer_svc.app.jobs import Jobs
from trainer_svc.app.publisher import Publisher
from trainer_svc.app.runner import Runner, RunnerSettings
from trainer_svc.domain.dataset import Dataset, DatasetState
from trainer_svc.domain.job import Job, JobSpec, JobState
from trainer_svc.domain.registry import Contract
from trainer_svc.domain.run import Evaluation, RunResult
from trainer_svc.store import catalog, history, shelf
from trainer_svc.store.database import Database

NAME = JobName("acme", "first")
SPEC = ContractSpec(ContractKind.JSON, json_schema='{"type":"boolean"}')
ZERO = "sha256:" + "0" * 64
CHECKPOINT = """printf '{"type":"checkpoint","step":5}\\n' >> "$3/events.jsonl"\n"""
DIE = "kill -9 $$\n"
FINISH = 'cp -r "$(dirname "$0")/finished/." "$3/"\n'
DIE_ONCE = 'if [ ! -e "$3/died" ]; then touch "$3/died"; kill -9 $$; fi\n'


@dataclasses.dataclass
class Stage:
    """A runner with one queued job and its stores. Its child is the shell script that `act` writes."""

    folder: Path
    database: Database
    clock: ManualClock
    base: BaseModel

    def __post_init__(self) -> None:
        self.blobs, self.changes = LocalBlobStore(self.folder / "blobs"), Changes()
        self.jobs = Jobs(self.database, self.changes, self.clock)
        _write_finished(self.folder)

    def act(self, script: str) -> None:
        """Sets what the child does; its arguments are -m, the module and the run's folder."""
        (self.folder / "child").write_text(f"#!/bin/sh\n{script}")
        (self.folder / "child").chmod(0o755)

    def runner(self) -> Runner:
        """A new service's runner on the same stores."""
        return Runner(
            database=self.database,
            blobs=self.blobs,
            publisher=Publisher(self.database, self.blobs, self.clock),
            changes=self.changes,
            clock=self.clock,
            base=self.base,
            settings=RunnerSettings(self.folder / "runs", self.folder / "contracts", threads=1, parallel_jobs=1),
        )

    def serve(self, until: Callable[[], Awaitable[object]] | None = None) -> Job:
        """One life of the service: recovers, runs until the job is final or `until` returns, then stops."""

        async def life() -> Job:
            runner = self.runner()
            await runner.recover()
            running = asyncio.create_task(runner.run())
            async with asyncio.timeout(30):
                await (until or self.final)()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await runner.stop()
            return await self.jobs.get(NAME)

        return asyncio.run(life())

    async def final(self) -> None:
        """Returns when the job's history ended."""
        async for _ in self.jobs.watch(NAME, 0):
            pass

    async def checkpoint(self) -> None:
        """Returns when the history holds a checkpoint."""
        async for event in self.jobs.watch(NAME, 0):
            if event.checkpoint_step is not None:
                return

    def revisions(self) -> list[str]:
        """Names of what was published."""
        page = lambda c: shelf.list_revisions(c, AdapterName("acme", "a"), Page(10, ""))  # noqa: E731
        return [revision.name for revision in asyncio.run(self.database.run(page))[0]]


def _write_finished(folder: Path) -> None:
    (folder / "finished").mkdir()
    (folder / "file").write_bytes(b"weights")
    manifest = AdapterManifest("tiny", ZERO, ZERO, "tenants/acme/contracts/c", SPEC, 4, 8.0, ("q_proj",), ZERO, ())
    sources = {WEIGHTS_NAME: folder / "file", CONFIG_NAME: folder / "file"}
    written = write_package(folder / "finished" / "package", manifest, sources)
    result = RunResult(written.digest, Evaluation(5, 0.5, 0.6, None, 100.0, 10.0, 0.1))
    (folder / "finished" / "result.json").write_bytes(result.to_json())


@pytest.fixture
def stage(
    tmp_path: Path, database: Database, clock: ManualClock, tiny_base: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> Stage:
    """One queued job over an active dataset."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "child"))
    own = Stage(tmp_path, database, clock, tiny_base)
    contract = Contract("tenants/acme/contracts/c", SPEC.canonical().decode(), SPEC.digest, 1, 1, (), clock.now())
    rows = own.blobs.put_bytes(b'{"row":1,"input":"a","output":"true"}\n')
    dataset = Dataset(
        "tenants/acme/datasets/d", contract.name, "", "", clock.now(),
        state=DatasetState.ACTIVE, digest=ZERO, train_rows=rows, holdout_rows=rows,
    )  # fmt: skip
    job = Job(str(NAME), dataset.name, "tenants/acme/adapters/a", "live", JobSpec(), clock.now())

    def work(connection: Any) -> None:
        catalog.add_contract(connection, contract)
        catalog.add_dataset(connection, dataset)
        history.add_job(connection, job)

    asyncio.run(database.run(work))
    return own


class TestAttempts:
    """What becomes of a job when its child ends."""

    def test_a_finished_run_is_published(self, stage: Stage) -> None:
        """Exit 0: revision and end of the job are there, and the child was given its rows."""
        stage.act('[ -s "$3/train.jsonl" ] && [ -s "$3/run.json" ] || exit 4\n' + FINISH)

        job = stage.serve()

        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
        assert [job.revision] == stage.revisions()

    def test_a_killed_child_is_started_again(self, stage: Stage) -> None:
        """Death by a signal is nobody's failure: the same folder is taken up by the next attempt."""
        stage.act(DIE_ONCE + FINISH)

        job = stage.serve()

        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
        assert len(stage.revisions()) == 1

    def test_deaths_without_progress_end_the_job(self, stage: Stage) -> None:
        """Three in a row are no chance; the failure is not called the tenant's."""
        stage.act(DIE)

        job = stage.serve()

        assert (job.state, job.attempt) == (JobState.FAILED, 3)
        assert job.failure is not None
        assert (job.failure.reason, job.failure.user_error) == ("WORKER_KILLED", False)

    def test_deaths_with_progress_do_not(self, stage: Stage) -> None:
        """A job that reaches a checkpoint each time goes on for as long as it takes."""
        four_deaths = 'echo x >> "$3/deaths"; if [ $(wc -l < "$3/deaths") -le 4 ]; then kill -9 $$; fi\n'
        stage.act(CHECKPOINT + four_deaths + FINISH)

        job = stage.serve()

        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 5)

    def test_the_child_says_whose_mistake_it_was(self, stage: Stage) -> None:
        """Reason, text and blame of failure.json become the job's."""
        body = '{"reason":"CONTEXT_TOO_LONG","message":"rows[3]","user_error":true}'
        stage.act(f"printf '{body}' > \"$3/failure.json\"; exit 3\n")

        job = stage.serve()

        assert job.state is JobState.FAILED
        assert job.failure is not None
        assert (job.failure.reason, job.failure.message, job.failure.user_error) == (
            "CONTEXT_TOO_LONG",
            "rows[3]",
            True,
        )

    def test_a_damaged_package_is_never_published(self, stage: Stage) -> None:
        """Bytes that differ from the manifest fail the job, and no revision appears."""
        stage.act(FINISH + f'echo rot >> "$3/package/{WEIGHTS_NAME}"\n')

        job = stage.serve()

        assert job.state is JobState.FAILED
        assert job.failure is not None
        assert (job.failure.reason, job.failure.user_error) == ("DIGEST_MISMATCH", False)
        assert stage.revisions() == []


class TestCancel:
    """Jobs that are asked to stop while their child runs."""

    def test_the_child_is_told_and_ends(self, stage: Stage) -> None:
        """SIGTERM and the cancel file reach it; its own exit status makes the job cancelled."""
        wait_for_term = 'trap \'[ -e "$3/cancel" ] && touch "$3/told"; exit 5\' TERM\n' + CHECKPOINT
        stage.act(wait_for_term + "while :; do sleep 0.05; done\n")

        async def cancel() -> None:
            await stage.checkpoint()
            assert (await stage.jobs.cancel(NAME)).state is JobState.CANCELLING
            await stage.final()

        job = stage.serve(cancel)

        assert job.state is JobState.CANCELLED
        assert list(stage.folder.glob("runs/*/told"))
        assert stage.revisions() == []


class TestRestart:
    """The service's own death."""

    def test_a_stopped_service_kills_its_child_and_goes_on_later(self, stage: Stage) -> None:
        """The job stays running in the store, so that the next start queues it again."""
        stage.act('echo $$ > "$3/pid"\n' + CHECKPOINT + "exec sleep 600\n")
        job = stage.serve(stage.checkpoint)
        assert job.state is JobState.RUNNING
        child = int(next(stage.folder.glob("runs/*/pid")).read_text())
        assert not Path(f"/proc/{child}").exists()
        stage.act(FINISH)

        job = stage.serve()

        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)

    def test_a_death_between_result_and_publication_publishes_once(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The run is done, its transaction is not: the next life publishes it, and the life after that nothing."""
        stage.act(FINISH)
        reached = asyncio.Event()

        async def never(self: Publisher, job: str, folder: object) -> None:
            reached.set()
            await asyncio.Event().wait()

        with monkeypatch.context() as patch:
            patch.setattr(Publisher, "publish", never)
            assert stage.serve(reached.wait).state is JobState.RUNNING
        assert stage.revisions() == []

        assert stage.serve().state is JobState.SUCCEEDED
        assert stage.serve().state is JobState.SUCCEEDED
        assert stage.revisions() == ["tenants/acme/adapters/a/revisions/1"]

    def test_what_was_being_cancelled_is_cancelled(self, stage: Stage) -> None:
        """Nobody waits for a child that died with its service."""
        stage.act("exit 4\n")

        def work(connection: Any) -> None:
            job = history.get_job(connection, NAME)
            running = job.move(JobState.RUNNING, stage.clock.now())
            history.save_job(connection, running.move(JobState.CANCELLING, stage.clock.now()))

        asyncio.run(stage.database.run(work))

        assert stage.serve().state is JobState.CANCELLED
