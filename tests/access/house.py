"""Both services behind TLS in one process: the real servicers, the real guards, and tenants that own something."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from goldsmith.inference.v1 import inference_service_pb2_grpc
from inference_svc.service import InferenceServicer
from shared.adapter.manifest import PackageFile
from shared.base_model import BaseModel
from shared.client import Credentials, TrainerClient
from shared.contracts.spec import ContractKind, ContractSpec
from shared.names import AdapterName
from shared.rpc.handler import behaviour_of, is_asynchronous, with_behaviour
from shared.rpc.interceptor import ErrorInterceptor
from shared.rpc.security import Security, SecuritySettings, secure
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from tests.access.issuer import AUDIENCE, ISSUER, Certificate, CertificateAuthority, TokenIssuer
from tests.unit.inference_svc.conftest import ALIAS, Replica
from tests.unit.trainer_svc.evaluation_sample import WRONG, evaluation, row
from trainer_svc.bootstrap import TrainerApplication
from trainer_svc.config import Settings
from trainer_svc.domain.estimate import Usage
from trainer_svc.domain.evaluation import ScoredAnswer
from trainer_svc.domain.job import Job, JobSpec, JobState
from trainer_svc.domain.preference import PreferencePair, PreferenceStudy
from trainer_svc.domain.recipe import RECIPE_VERSION
from trainer_svc.domain.registry import Revision
from trainer_svc.domain.run import TrainingMode
from trainer_svc.store import calibration, history, preference, shelf
from trainer_svc.store.codec import dump
from trainer_svc.store.database import Database

TENANT = "tenants/acme"
SCHEMA = '{"type":"object","properties":{"n":{"type":"integer","minimum":0,"maximum":9}},"required":["n"]}'
ROWS = b"".join(b'{"input":"row %d","output":{"n":%d}}\n' % (i, i % 10) for i in range(40))
DIGEST = "sha256:" + hashlib.sha256(ROWS).hexdigest()
FIRST_ROWS = ROWS[:200]
PAIR = "0123456789abcdef"
"""Of the studies."""


class Reached(grpc.aio.ServerInterceptor):
    """Comes after all guards and notes what got so far."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wraps the one thing that every handler is called through."""
        handler = await continuation(handler_call_details)
        if not is_asynchronous(handler):
            return handler
        return with_behaviour(handler, self._noting(behaviour_of(handler), handler_call_details.method))

    def _noting(self, behaviour: Callable[..., Any], path: str) -> Callable[..., Any]:
        if asyncio.iscoroutinefunction(behaviour):

            async def call(request: object, context: object) -> object:
                self.paths.append(path)
                return await behaviour(request, context)

            return call

        async def stream(request: object, context: object) -> AsyncIterator[object]:
            self.paths.append(path)
            async for response in behaviour(request, context):
                yield response

        return stream


@dataclass
class House:
    """What callers meet. `reached` is what got past the guards of either service."""

    folder: Path
    issuer: TokenIssuer
    authority: CertificateAuthority
    key_file: Path
    reached: Reached = field(default_factory=Reached)
    trainer: str = ""
    inference: str = ""

    def address(self, path: str) -> str:
        """Of the service that has this RPC."""
        return self.inference if path.startswith("/goldsmith.inference.") else self.trainer

    def credentials(self, **claims: Any) -> Credentials:
        """A caller with a token."""
        return Credentials(ca=self.authority.path, token=self.issuer.token(**claims))

    def secured(self, own: Certificate) -> Security:
        """Tokens over TLS, as a service reads them from its settings."""
        settings = SecuritySettings(
            tls_certificate=own.certificate, tls_key=own.key, token_keys=self.key_file,
            token_issuer=ISSUER, token_audience=AUDIENCE,
        )  # fmt: skip
        return secure(settings, "0.0.0.0:50051")


@asynccontextmanager
async def open_house(base: BaseModel, folder: Path) -> AsyncIterator[House]:
    """Serves until the block ends. `tenants/acme` owns one of everything; no training job ever runs."""
    issuer, authority, keys = TokenIssuer(), CertificateAuthority(folder), folder / "keys.json"
    keys.write_text(issuer.key_set())
    house = House(folder, issuer, authority, keys)
    security = house.secured(authority.issue("service", "127.0.0.1"))
    data = folder / "trainer"
    await asyncio.to_thread(data.mkdir)
    await _publish(data, base)
    application = TrainerApplication(Settings(base.folder, data, parallel_jobs=0))
    replica = Replica(base, folder / "inference")
    servers = [
        grpc.aio.server(interceptors=[ErrorInterceptor(), *security.interceptors(), house.reached]) for _ in "12"
    ]
    application.register(servers[0])
    servicer = InferenceServicer(replica.answering, replica.fleet)
    inference_service_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, servers[1])
    for server in servers:
        health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
        reflection.enable_server_reflection([health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    house.trainer, house.inference = (f"127.0.0.1:{security.bind(server, '127.0.0.1:0')}" for server in servers)
    for server in servers:
        await server.start()
    await application.start()
    try:
        replica.registry.specs[f"{TENANT}/contracts/sql"] = ContractSpec(
            ContractKind.SQL, ddl="CREATE TABLE t (a TEXT);"
        )
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()
        await asyncio.to_thread(_furnish, house)
        house.reached.paths.clear()
        yield house
    finally:
        await application.drain()
        for server in servers:
            await server.stop(0)
        await application.stop()
        await replica.fleet.stop()


async def _publish(data: Path, base: BaseModel) -> None:
    """Two revisions, studies of them, a job that was paused, and what a run took."""
    database, blobs = Database(f"sqlite:///{data}/trainer.db"), LocalBlobStore(data / "blobs")
    database.migrate()
    files = (PackageFile("manifest.json", 8, blobs.put_bytes(b"manifest")),)
    zero = "sha256:" + "0" * 64
    for job in ("done", "other"):
        revision = Revision("", zero, files, f"{TENANT}/jobs/{job}", f"{TENANT}/contracts/c", zero, ManualClock().now())
        await database.run(lambda c: shelf.add_revision(c, AdapterName("acme", "answer"), revision))  # noqa: B023  # run at once
    held = Job(
        f"{TENANT}/jobs/held", f"{TENANT}/datasets/golden", f"{TENANT}/adapters/answer", "live", JobSpec(),
        ManualClock().now(), state=JobState.PAUSED,
    )  # fmt: skip
    await database.run(lambda connection: history.add_job(connection, held))
    for job in ("done", "other"):
        rows = dump(row(1, adapter=ScoredAnswer(job, WRONG))).encode() + b"\n"
        done = dataclasses.replace(
            held, name=f"{TENANT}/jobs/{job}", state=JobState.SUCCEEDED, evaluated_rows_digest=blobs.put_bytes(rows),
            evaluation_digest=blobs.put_bytes(dump(evaluation()).encode()),
        )  # fmt: skip
        await database.run(lambda connection: history.add_job(connection, done))  # noqa: B023  # run at once
    pairs = blobs.put_bytes(dump(PreferencePair(PAIR, "input", "yes", "no", is_a_left=True)).encode() + b"\n")
    answer = f"{TENANT}/adapters/answer"
    for study in ("first", "last"):
        stored = PreferenceStudy(
            f"{answer}/preferenceStudies/{study}", f"{answer}/revisions/1", f"{answer}/revisions/2", 50, 0,
            ManualClock().now(), common_row_count=1, pair_count=1, pairs_digest=pairs,
        )  # fmt: skip
        await database.run(lambda connection: preference.add_study(connection, stored))  # noqa: B023  # run at once
    usage = Usage(
        base.digest, TrainingMode.LORA, 16, 2, "cpu", 100, 10, 1.0, 1.0, 1.0, 1, step_count=1, padded_tokens=100,
        recipe_version=RECIPE_VERSION,
    )  # fmt: skip
    await database.run(lambda connection: calibration.add_usage(connection, usage))
    database.close()


def _furnish(house: House) -> None:
    """What acme's administrator does before anybody else calls."""
    from goldsmith.trainer.v1 import golden_dataset_pb2, training_job_pb2

    with TrainerClient(house.trainer, house.credentials(roles=["admin"])) as own:
        own.create_contract(f"{TENANT}/contracts/answer", json_schema=SCHEMA)
        golden = golden_dataset_pb2.GoldenDataset(contract=f"{TENANT}/contracts/answer")
        for name in ("open", "golden"):
            own.create_dataset(f"{TENANT}/datasets/{name}", golden)
        own.upload(f"{TENANT}/datasets/golden", ROWS)
        job = training_job_pb2.TrainingJob(dataset=f"{TENANT}/datasets/golden", adapter=f"{TENANT}/adapters/answer")
        own.train(f"{TENANT}/jobs/first", job)
        own.set_alias(f"{TENANT}/adapters/answer/aliases/live", f"{TENANT}/adapters/answer/revisions/1")
        for number in (1, 2):
            own.set_alias(f"{TENANT}/adapters/answer/aliases/moved", f"{TENANT}/adapters/answer/revisions/{number}")
