"""What stands between a training and `live`, all of it real: the run, the registry with its policy, a replica's loader.

Trains in this process, so that a part can be put in another's place.
"""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import itertools
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inference_svc.app.adapter_cache import AdapterCache
from inference_svc.app.contract_library import ContractLibrary
from inference_svc.app.loader import Loader
from inference_svc.app.quarantine import Quarantine
from inference_svc.app.signature_gate import SignatureGate
from inference_svc.domain.residency import Resident, ResidentState
from shared.adapter.package import read_package
from shared.base_model import BaseModel
from shared.clock import SystemClock
from shared.contracts.compiler import ContractCompiler
from shared.contracts.spec import ContractSpec
from shared.errors import DomainError
from shared.names import AdapterName, AliasName, ContractName, JobName, RevisionName
from shared.prompt import PromptRenderer
from shared.storage.local import LocalBlobStore
from tests.unit.inference_svc.conftest import FakeRegistry
from tests.unit.inference_svc.fake_engine import FakeEngine
from trainer_svc.app.live_comparison import StoredAnswers
from trainer_svc.app.promotion_gate import PromotionGate
from trainer_svc.app.publisher import Publisher
from trainer_svc.domain.dataset import CheckedRow
from trainer_svc.domain.job import Job, JobSpec, JobState
from trainer_svc.domain.registry import NO_ALIAS, Revision
from trainer_svc.domain.run import EXIT_DONE, RunFolder, RunSpec
from trainer_svc.domain.run_result import RunResult
from trainer_svc.engine import pipeline
from trainer_svc.engine.journal import Journal
from trainer_svc.store import history, shelf
from trainer_svc.store.database import Database
from trainer_svc.worker import exit_status

_TENANT = "house"
_CONTRACT = ContractName(_TENANT, "answer")
SERVED, EMPTY = AdapterName(_TENANT, "served"), AdapterName(_TENANT, "empty")
"""Adapters that every run deploys to: where a sound revision is live, and where nothing is."""
Rows = Sequence[CheckedRow]


class Stage(enum.StrEnum):
    """Where an adapter's way ends."""

    JOB = "job failed"
    POLICY = "not promoted"
    PROOF = "refused by vLLM"
    REPLICA = "rejected by the replica"
    LIVE = "live"


@dataclasses.dataclass(frozen=True)
class Ending:
    """What became of an adapter."""

    stage: Stage
    reasons: tuple[str, ...] = ()
    """Of an error the one; of the policy those of every check that stops it where nothing is live."""
    told: str = ""
    beside_live: tuple[str, ...] = ()
    """Reasons that come on top where a sound revision is live."""


class PromotionHouse:
    """A trainer's stores, runs on one contract, and a replica of `base`."""

    def __init__(self, folder: Path, base: BaseModel, spec: ContractSpec) -> None:
        self.folder, self.base, self._spec = folder, base, spec
        self._database = Database(f"sqlite:///{folder / 'trainer.db'}")
        self._database.migrate()
        self._blobs, self._clock, self._numbers = LocalBlobStore(folder / "blobs"), SystemClock(), itertools.count(1)
        gate = PromotionGate(StoredAnswers(self._blobs))
        self._publisher = Publisher(self._database, self._blobs, self._clock, gate)

    def close(self) -> None:
        """Lets go of the database."""
        self._database.close()

    def write(
        self, name: str, train: Rows, holdout: Rows, base: BaseModel | None = None, **settings: Any
    ) -> RunFolder:  # settings: fields of RunSpec
        """A run's folder, as the service writes it."""
        run = RunFolder(self.folder / name)
        run.path.mkdir()
        given = {
            "job": str(JobName(_TENANT, name)), "base_model_dir": str((base or self.base).folder),
            "contract_name": str(_CONTRACT), "contract": self._spec.canonical().decode(),
            "contract_cache_dir": str(self.folder / "contracts"), "dataset_digest": f"sha256:{0:064}",
            "evaluated_checkpoint_count": 1,
        }  # fmt: skip
        run.spec.write_bytes(RunSpec(**{**given, **settings}).to_json())
        for path, rows in ((run.train_rows, train), (run.holdout_rows, holdout)):
            lines = (json.dumps({"row": row.row, "input": row.input, "output": row.output}) for row in rows)
            path.write_text("".join(f"{line}\n" for line in lines))
        return run

    def train(self, run: RunFolder) -> Ending | None:
        """Runs to the end as the worker does; None when a package came of it."""
        if exit_status(_train, run, lambda: False) == EXIT_DONE:
            return None
        failure = json.loads(run.failure.read_bytes())
        return Ending(Stage.JOB, (failure["reason"],), failure["message"])

    def finish(self, run: RunFolder) -> Ending:
        """Runs to the end and publishes to both adapters by the default policy."""
        failed = self.train(run)
        if failed is not None:
            return failed
        alone, beside = self.deploy(run, EMPTY), self.deploy(run, SERVED)
        added = tuple(reason for reason in beside.reasons if reason not in alone.reasons)
        is_live = Stage.LIVE in (alone.stage, beside.stage)
        return Ending(Stage.LIVE if is_live else Stage.POLICY, alone.reasons, alone.told, added)

    def deploy(self, run: RunFolder, adapter: AdapterName) -> Ending:
        """Publishes a finished run to `live` of an adapter."""
        job = self._publish(run, adapter, "live")
        assert job.promotion is not None
        stopping = job.promotion.stopping
        told = "; ".join(f"{check.name}: {check.description}" for check in stopping)
        is_live = self.live(adapter) == job.revision
        return Ending(Stage.LIVE if is_live else Stage.POLICY, tuple(str(check.reason) for check in stopping), told)

    def live(self, adapter: AdapterName) -> str:
        """What the adapter's alias `live` means; empty where it means nothing."""
        name = AliasName(adapter.tenant, adapter.id, "live")
        alias = asyncio.run(self._database.run(lambda connection: shelf.find_alias(connection, name)))
        return alias.revision if alias is not None else ""

    def replicate(self, package: Path, evaluated: RunFolder) -> Ending:
        """Puts a package into the registry, past every check of the trainer's, and has a replica load it.

        It comes with what was measured of another one, and gets no alias. The replica's engine repeats every canary, so
        that nothing but the loader's own checks can reject it.
        """
        run = RunFolder(self.folder / f"{evaluated.path.name}-replaced-{next(self._numbers)}")
        shutil.copytree(evaluated.path, run.path)
        shutil.rmtree(run.package)
        shutil.copytree(package, run.package)
        found = RunResult.from_json(run.result.read_bytes())
        manifest = read_package(run.package)
        run.result.write_bytes(dataclasses.replace(found, manifest_digest=manifest.digest).to_json())
        expected = [list(canary.expected_ids) for canary in manifest.canaries]
        return asyncio.run(self._load(self._publish(run, SERVED, NO_ALIAS).revision, expected))

    def _publish(self, run: RunFolder, adapter: AdapterName, alias_id: str) -> Job:
        """The job that ended with the run."""
        now, name = self._clock.now(), JobName(_TENANT, f"{run.path.name}-{next(self._numbers)}")
        queued = Job(str(name), "d", str(adapter), alias_id, JobSpec(), now, state=JobState.RUNNING, attempt=1)

        async def work() -> Job:
            await self._database.run(lambda connection: history.add_job(connection, queued))
            await self._publisher.publish(str(name), run)
            return await self._database.run(lambda connection: history.get_job(connection, name))

        return asyncio.run(work())

    async def _load(self, name: str, expected: list[list[int]]) -> Ending:
        revision = RevisionName.parse(name)
        stored = await self._database.run(lambda connection: shelf.get_revision(connection, revision))
        registry, contracts = _Blobs(stored, self._blobs), self.folder / "contracts"
        engine = FakeEngine(contracts)
        engine.script = expected
        cache = self.folder / "cache"
        cache.mkdir(exist_ok=True)
        loader = Loader(
            cache=AdapterCache(cache, 1 << 40), base=self.base, prompt_digest=PromptRenderer.load(self.base).digest,
            max_rank=64, engine=engine, registry=registry,
            contracts=ContractLibrary(ContractCompiler(contracts, self.base.vocabulary()), registry),
            quarantine=Quarantine(self.folder / "quarantine.json", self._clock),
            signatures=SignatureGate(None, registry),
        )  # fmt: skip
        resident = Resident(revision, stored.digest, lambda *_: None, ResidentState.FETCHING)
        try:
            await loader.load(resident, set)
        except DomainError as err:
            return Ending(Stage.REPLICA, (err.reason,), str(err))
        return Ending(Stage.LIVE)


class _Blobs(FakeRegistry):
    """Has the files of one revision as they were published."""

    def __init__(self, revision: Revision, blobs: LocalBlobStore) -> None:
        super().__init__()
        self._revision, self._blobs = revision, blobs

    async def download(self, name: RevisionName, folder: Path) -> None:
        """Every file."""
        for file in self._revision.files:
            (folder / file.filename).write_bytes(self._blobs.read(file.digest))


def _train(spec: RunSpec, folder: RunFolder, journal: Journal, is_cancelled: Callable[[], bool]) -> None:
    """As the worker does; here, so that parts of it can be put in another's place."""
    pipeline.run(spec, folder, journal, is_cancelled)
