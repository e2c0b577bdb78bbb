"""Both services with the adapters of two real golden datasets: what the trainer answered, and what is served."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from deploy.quickstart.real_data import real_tenants
from deploy.quickstart.service_process import ServiceProcess
from deploy.quickstart.tenant import DemoTenant
from goldsmith.inference.v1 import inference_service_pb2
from goldsmith.trainer.v1 import golden_dataset_pb2, training_job_pb2
from shared.client import InferenceClient, TrainerClient
from shared.client.download import fetched_revision
from shared.client.promotion import PromotionClient
from shared.contracts.spec import ContractKind
from shared.errors import NotFound
from tests.bench.recorded_inference import RECORD_VARIABLE, TokenIds, read_record
from tests.bench.train_material import BASE
from trainer_svc.app.retention import run_folder
from trainer_svc.domain.run import RunFolder, ServedType

_NAMES = ("restaurants", "atlas")
"""BookRestaurant and GeoQuery, as `real_tenants` calls them."""
_TRAIN_ROWS, _HOLDOUT_ROWS, _EPOCHS = 700, 200, 3
_LIVE_SECONDS = 60.0
_OPEN = {"base-model-dir": str(BASE), "listen": "127.0.0.1:0", "insecure-loopback": "true"}


def material(data: Path) -> list[DemoTenant]:
    """The two sets; where an official holdout has fewer than 200 rows, rows of the train split fill it up.

    Raises:
        FileNotFoundError: `data` does not hold them.
    """
    found = {tenant.id: tenant for tenant in real_tenants(data)}
    return [_cut(found[name]) for name in _NAMES]


def _cut(tenant: DemoTenant) -> DemoTenant:
    rows = list(tenant.train)
    random.Random(0).shuffle(rows)
    spare = max(0, _HOLDOUT_ROWS - len(tenant.holdout))
    train = tuple(rows[spare:][:_TRAIN_ROWS])
    return replace(tenant, train=train, holdout=(*tenant.holdout, *rows[:spare]), instruction_prompt="")


class Trained:
    """A trainer service with its data in a folder; a job that is done there is not run again."""

    def __init__(self, folder: Path, address: str) -> None:
        self._folder, self.address = folder, address

    def train(self, tenant: DemoTenant) -> Path:
        """The package of a job's revision, which is live, whatever the policy of promotion says of it."""
        with TrainerClient(self.address) as client:
            try:
                done = client.job(_job(tenant))
            except NotFound:
                done = _train(client, tenant)
            assert done.state == training_job_pb2.TRAINING_JOB_STATE_SUCCEEDED, done.failure
            self._promote(tenant, done.revision)
            package = self._folder / f"package-{tenant.id}"
            if not package.is_dir():
                with fetched_revision(client, client.revision(done.revision), package):
                    pass
        return package

    def _promote(self, tenant: DemoTenant, revision: str) -> None:
        with PromotionClient(self.address) as client:
            if client.alias(f"{_adapter(tenant)}/aliases/live") is None:
                client.promote(revision, "", override=True, reason="is held against its evaluation")

    def evaluated(self, tenant: DemoTenant) -> list[tuple[str, TokenIds]]:
        """Held-out inputs and the tokens of their answers, as the evaluation stored them."""
        run: RunFolder = run_folder(self._folder / "runs", _job(tenant))
        rows = map(json.loads, run.holdout_rows.read_text(encoding="utf-8").splitlines())
        answers = json.loads((run.evaluations / "published.answers.json").read_bytes())
        return [(row["input"], tuple(answer)) for row, answer in zip(rows, answers, strict=True)]


def _train(client: TrainerClient, tenant: DemoTenant) -> training_job_pb2.TrainingJob:
    parent = f"tenants/{tenant.id}"
    contract = client.create_contract(f"{parent}/contracts/answer", tenant.spec)
    golden = golden_dataset_pb2.GoldenDataset(contract=contract.name, database_sql=tenant.database_sql)
    dataset = client.create_dataset(f"{parent}/datasets/golden", golden).name
    client.upload(dataset, tenant.upload(), golden_dataset_pb2.INVALID_ROW_POLICY_EXCLUDE)
    spec = training_job_pb2.TrainingSpec(epoch_count=_EPOCHS, evaluated_checkpoint_count=1)
    request = training_job_pb2.TrainingJob(dataset=dataset, adapter=_adapter(tenant), spec=spec)
    name = client.train(_job(tenant), request).name
    for _ in client.watch(name):
        pass
    return client.job(name)


def _adapter(tenant: DemoTenant) -> str:
    return f"tenants/{tenant.id}/adapters/answer"


def _job(tenant: DemoTenant) -> str:
    return f"tenants/{tenant.id}/jobs/first"


@contextmanager
def open_trainer(folder: Path) -> Iterator[Trained]:
    """A trainer service on loopback."""
    flags = {"data-dir": str(folder / "trainer"), "training-threads": "2", "servability-proof": "vllm", **_OPEN}
    with ServiceProcess("trainer_svc", flags, folder / "trainer.log") as process:
        yield Trained(folder / "trainer", process.wait_ready())


class Served:
    """An inference service whose answers' tokens are recorded."""

    def __init__(self, client: InferenceClient, record: Path) -> None:
        self._client, self._record = client, record

    def wait_live(self, tenant: DemoTenant) -> None:
        """Until the adapter of a tenant answers."""
        deadline = time.monotonic() + _LIVE_SECONDS
        live = inference_service_pb2.RESIDENT_ADAPTER_STATE_LIVE
        while all(adapter.state != live for adapter in self._client.resident_adapters(f"tenants/{tenant.id}")):
            assert time.monotonic() < deadline, f"{tenant.id} is not live after {_LIVE_SECONDS} s"
            time.sleep(0.1)

    def ask(self, rows: Sequence[tuple[DemoTenant, str]], parallel: int) -> dict[TokenIds, TokenIds]:
        """Greedy answers to inputs by the defaults of a request, so many at once; by prompt."""
        self._record.unlink(missing_ok=True)
        with ThreadPoolExecutor(parallel) as pool:
            list(pool.map(lambda row: self._ask(*row), rows))
        return read_record(self._record)

    def _ask(self, tenant: DemoTenant, text: str) -> None:
        method = self._client.extract if tenant.kind is ContractKind.JSON else self._client.generate_sql
        method(_adapter(tenant), text)


@contextmanager
def open_inference(folder: Path, registry: str, served_type: ServedType) -> Iterator[Served]:
    """An inference service with real vLLM that follows the registry of a trainer."""
    record = folder / "tokens.jsonl"
    os.environ[RECORD_VARIABLE] = str(record)
    own = {"data-dir": str(folder / "inference"), "registry": registry, "threads": "2", "dtype": served_type.value}
    with (
        ServiceProcess("tests.bench.recorded_inference", {**own, **_OPEN}, folder / "inference.log") as process,
        InferenceClient(process.wait_ready()) as client,
    ):
        yield Served(client, record)
