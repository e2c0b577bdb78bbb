"""Both services, running, with the tenants that train and ask."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from deploy.quickstart.service_process import ServiceProcess
from deploy.quickstart.tenant import DemoTenant
from goldsmith.inference.v1 import inference_service_pb2
from goldsmith.registry.v1 import promotion_pb2
from goldsmith.trainer.v1 import golden_dataset_pb2, training_job_pb2
from shared.client import Answer, InferenceClient, PromotionClient, TrainerClient
from shared.contracts.spec import ContractKind

SUCCEEDED = training_job_pb2.TRAINING_JOB_STATE_SUCCEEDED
LIVE = inference_service_pb2.RESIDENT_ADAPTER_STATE_LIVE
WAIT_SECONDS = 240.0
HOLDOUT = 20
"""Rows of each tenant that are never trained on."""


@dataclass
class House:
    """Both services, running."""

    trainer_process: ServiceProcess
    inference_process: ServiceProcess
    trainer: TrainerClient
    inference: InferenceClient
    promotion: PromotionClient
    inference_pid: int
    tenants: dict[str, DemoTenant] = field(default_factory=dict)

    def dataset(self, tenant: DemoTenant) -> str:
        """Contract and sealed dataset of a tenant; the dataset's name."""
        parent = f"tenants/{tenant.id}"
        definition = {"json_schema" if tenant.kind is ContractKind.JSON else "ddl": tenant.schema}
        contract = self.trainer.create_contract(f"{parent}/contracts/answer", **definition)
        golden = golden_dataset_pb2.GoldenDataset(
            contract=contract.name, instruction_prompt=tenant.instruction_prompt, database_sql=tenant.database_sql
        )
        name = self.trainer.create_dataset(f"{parent}/datasets/golden", golden).name
        sealed = self.trainer.upload(name, tenant.upload())
        assert sealed.state == golden_dataset_pb2.GOLDEN_DATASET_STATE_ACTIVE, sealed
        return name

    def submit(self, tenant: str, job: str, epochs: int, seed: int = 0) -> str:
        """Queues a job on the tenant's dataset. Its adapter learns next to nothing and is promoted all the same."""
        parent = f"tenants/{tenant}"
        checks = [check for check in promotion_pb2.BuiltInCheck.values() if check]
        name = f"{parent}/adapters/answer/promotionPolicy"
        self.promotion.update_policy(promotion_pb2.PromotionPolicy(name=name, disabled_checks=checks))
        spec = training_job_pb2.TrainingSpec(epoch_count=epochs, seed=seed)
        request = training_job_pb2.TrainingJob(
            dataset=f"{parent}/datasets/golden", adapter=f"{parent}/adapters/answer", spec=spec
        )
        return self.trainer.train(f"{parent}/jobs/{job}", request).name

    def finish(self, job: str) -> training_job_pb2.TrainingJob:
        """Waits for the end of a job and for its revision to be live."""
        done = self.succeeded(job)
        parent = "/".join(job.split("/")[:2])
        until(lambda: done.revision in self.live(parent), f"{done.revision} to be live")
        return done

    def succeeded(self, job: str) -> training_job_pb2.TrainingJob:
        """Waits for the end of a job."""
        for _ in self.trainer.watch(job):
            pass
        done = self.trainer.job(job)
        assert done.state == SUCCEEDED, done.failure
        return done

    def live(self, parent: str) -> set[str]:
        """Revisions of a tenant that serve."""
        return {a.revision for a in self.inference.resident_adapters(parent) if a.state == LIVE}

    def ask(self, tenant: str, index: int = 0, **options: object) -> Answer:
        """One request on a holdout row."""
        own = self.tenants[tenant]
        method = self.inference.extract if own.kind is ContractKind.JSON else self.inference.generate_sql
        return method(f"tenants/{tenant}/adapters/answer", own.holdout[index % HOLDOUT].input, **options)

    def answered_by(self, tenant: str, index: int = 0, **options: object) -> str:
        """The revision that answers such a request."""
        return self.ask(tenant, index, **options).summary.adapter_revision

    def canary_share(self, tenant: str) -> int | None:
        """Percent that a canary of the tenant gets now; None when there is none."""
        adapters = self.inference.resident_adapters(f"tenants/{tenant}")
        return next((share.percent for adapter in adapters for share in adapter.canaries), None)

    def slow_revision(self, tenant: str) -> str:
        """Another revision of a tenant's adapter, whose shortest answer has some two hundred tokens."""
        parent, word = f"tenants/{tenant}", {"enum": ["one", "two", "three", "four"]}
        schema = {"type": "array", "items": word, "minItems": 60, "maxItems": 60}
        contract = self.trainer.create_contract(f"{parent}/contracts/long", json_schema=json.dumps(schema))
        golden = golden_dataset_pb2.GoldenDataset(contract=contract.name)
        dataset = self.trainer.create_dataset(f"{parent}/datasets/long", golden).name
        rows = [{"input": f"count {number}", "output": ["one", "two", "three"] * 20} for number in range(24)]
        self.trainer.upload(dataset, "\n".join(map(json.dumps, rows)).encode())
        spec = training_job_pb2.TrainingSpec(epoch_count=1)
        request = training_job_pb2.TrainingJob(
            dataset=dataset, adapter=f"{parent}/adapters/answer", spec=spec, alias_id="-"
        )
        job = self.trainer.train(f"{parent}/jobs/slow", request).name
        return self.succeeded(job).revision


def until(condition: Callable[[], bool], what: str, pause: float = 0.1) -> None:
    """Waits for a condition of another process, `pause` seconds after each look."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(pause)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
