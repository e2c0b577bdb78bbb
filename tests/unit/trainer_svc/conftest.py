"""A trainer's stores in a temporary folder, and a runner over them."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection

from shared.base_model import BaseModel
from shared.changes import Changes
from shared.names import AdapterName, DatasetName, JobName
from shared.prompt import PromptRenderer
from shared.rpc.page import Page
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from tests.unit.trainer_svc.finished_run import SPEC, ZERO, write_finished
from tests.unit.trainer_svc.promotion_desk import Desk
from trainer_svc.app.jobs import Jobs
from trainer_svc.app.live_comparison import StoredAnswers
from trainer_svc.app.observer import UNOBSERVED, Observer
from trainer_svc.app.promotion_gate import PromotionGate
from trainer_svc.app.publisher import Publisher
from trainer_svc.app.run_files import RunnerSettings
from trainer_svc.app.runner import Runner
from trainer_svc.curation.compiled_example import ExampleCompiler
from trainer_svc.domain.dataset import Dataset, DatasetState
from trainer_svc.domain.job import Job, JobSpec
from trainer_svc.domain.registry import Contract
from trainer_svc.store import catalog, history, shelf
from trainer_svc.store.database import Database

Result = TypeVar("Result")
NAME = JobName("acme", "first")
DATASET = DatasetName("acme", "d")
FINISH = 'cp -r "$(dirname "$0")/finished/." "$3/"\n'
"""The script of a child whose run ends well."""


@pytest.fixture(scope="session")
def compiler(tiny_base: BaseModel) -> ExampleCompiler:
    """Of examples for the tiny base model."""
    return ExampleCompiler(PromptRenderer.load(tiny_base), tiny_base.max_positions)


@dataclasses.dataclass
class Stage:
    """A runner with one queued job and its stores. Its child is the shell script that `act` writes."""

    folder: Path
    database: Database
    clock: ManualClock
    base: BaseModel
    observer: Observer = UNOBSERVED
    validation: str = "exit 0"
    """What the child does when it shall only validate."""
    processes: int = 1

    def __post_init__(self) -> None:
        self.blobs, self.changes = LocalBlobStore(self.folder / "blobs"), Changes()
        self.jobs = Jobs(self.database, self.changes, self.clock)
        write_finished(self.folder)

    def act(self, script: str) -> None:
        """Sets what the child does; its arguments are -m, the module and the run's folder. A validation ends well."""
        (self.folder / "child").write_text(f'#!/bin/sh\nif [ -n "$4" ]; then {self.validation}; fi\n{script}')
        (self.folder / "child").chmod(0o755)

    def runner(self) -> Runner:
        """A new service's runner on the same stores."""
        return Runner(
            database=self.database,
            blobs=self.blobs,
            publisher=Publisher(self.database, self.blobs, self.clock, PromotionGate(StoredAnswers(self.blobs))),
            changes=self.changes,
            clock=self.clock,
            base=self.base,
            settings=RunnerSettings(
                self.folder / "runs", self.folder / "contracts", threads=1, parallel_jobs=1, processes=self.processes
            ),
            observer=self.observer,
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

    async def set_dataset(self, state: DatasetState) -> None:
        """Moves the job's dataset."""
        dataset = await self.database.run(lambda connection: catalog.get_dataset(connection, DATASET))
        moved = dataclasses.replace(dataset, state=state)
        await self.database.run(lambda connection: catalog.save_dataset(connection, moved, None))

    def revisions(self) -> list[str]:
        """Names of what was published."""
        page = lambda c: shelf.list_revisions(c, AdapterName("acme", "a"), Page(10, ""))  # noqa: E731
        return [revision.name for revision in asyncio.run(self.database.run(page))[0]]


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
        str(DATASET), contract.name, "", "", clock.now(),
        state=DatasetState.ACTIVE, digest=ZERO, train_rows=rows, holdout_rows=rows,
    )  # fmt: skip
    job = Job(str(NAME), dataset.name, "tenants/acme/adapters/a", "live", JobSpec(), clock.now())

    def work(connection: Any) -> None:
        catalog.add_contract(connection, contract)
        catalog.add_dataset(connection, dataset)
        history.add_job(connection, job)

    asyncio.run(database.run(work))
    return own


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A migrated SQLite database on disk."""
    own = Database(f"sqlite:///{tmp_path / 'trainer.db'}")
    own.migrate()
    yield own
    own.close()


@pytest.fixture
def transact(database: Database) -> Callable[[Callable[[Connection], Result]], Result]:
    """Runs a function of a connection in a transaction, without an event loop."""
    return lambda work: asyncio.run(database.run(work))


@pytest.fixture
def desk(tmp_path: Path, database: Database, clock: ManualClock) -> Desk:
    """With revisions that have no stored answers, so that none is compared after its evaluation."""
    return Desk(tmp_path, database, clock)
