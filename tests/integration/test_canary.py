"""Canaries over real sockets: the trainer's registry, the inference service and their clients; the engine in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import grpc
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from goldsmith.inference.v1 import inference_service_pb2_grpc
from goldsmith.registry.v1 import adapter_pb2
from inference_svc.app.follower import follow_aliases
from inference_svc.app.ports import Registry
from inference_svc.registry_client import GrpcRegistry
from inference_svc.service import InferenceServicer
from shared.adapter.canary import CanarySplit
from shared.adapter.manifest import PackageFile
from shared.base_model import BaseModel
from shared.cli.main import app
from shared.client import InferenceClient, TrainerClient
from shared.errors import InternalFault, InvalidInput
from shared.names import AdapterName
from shared.rpc.interceptor import ErrorInterceptor
from shared.rpc.security import SecuritySettings, secure
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, CONTRACT, Replica, revision
from trainer_svc.bootstrap import TrainerApplication
from trainer_svc.config import Settings
from trainer_svc.domain.registry import Revision
from trainer_svc.store import shelf
from trainer_svc.store.database import Database

Found = TypeVar("Found")
FIRST, SECOND = str(revision(1)), str(revision(2))
HALF = CanarySplit(revision(2), 50)
pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]


@dataclass
class FollowingReplica(Replica):
    """A replica that asks a registry over the network."""

    followed: GrpcRegistry | None = None

    def serving_registry(self) -> Registry:
        """The trainer's."""
        assert self.followed is not None
        return self.followed


@dataclass
class House:
    """Both services; the trainer's stores hold two revisions."""

    replica: FollowingReplica
    trainer_address: str
    address: str
    application: TrainerApplication
    registry_server: grpc.aio.Server

    async def trainer(self, work: Callable[[TrainerClient], Found]) -> Found:
        """Runs what a client does in a thread of its own, as the client is a blocking one."""

        def run() -> Found:
            with TrainerClient(self.trainer_address) as client:
                return work(client)

        return await asyncio.to_thread(run)

    async def ask(self, work: Callable[[InferenceClient], Found]) -> Found:
        """The same for the inference service."""

        def run() -> Found:
            with InferenceClient(self.address) as client:
                return work(client)

        return await asyncio.to_thread(run)

    async def set_alias(self, live: str, canary: CanarySplit | None = None) -> adapter_pb2.AdapterAlias:
        """Moves the alias."""
        return await self.trainer(lambda client: client.set_alias(str(ALIAS), live, canary=canary))

    async def answers(self, count: int, **options: str) -> Counter[str]:
        """Which revision answered how many requests; those whose answer broke its contract have none."""

        def work(client: InferenceClient) -> Counter[str]:
            seen: Counter[str] = Counter()
            for _ in range(count):
                with contextlib.suppress(InternalFault):
                    seen[client.extract(ADAPTER, "is it so?", **options).summary.adapter_revision] += 1
            return seen

        return await self.ask(work)

    async def share(self) -> int | None:
        """Percent of the second revision as a canary on this replica."""
        adapters = await self.ask(lambda client: client.resident_adapters("tenants/acme"))
        return next((share.percent for found in adapters for share in found.canaries), None)

    async def until_share(self, percent: int | None) -> None:
        """Waits until the replica says so."""
        while await self.share() != percent:  # noqa: ASYNC110  # of another process, in effect
            await asyncio.sleep(0.01)


@pytest_asyncio.fixture
async def house(tiny_base: BaseModel, tmp_path: Path) -> AsyncIterator[House]:
    """Revision 1 is live everywhere."""
    data = tmp_path / "trainer"
    data.mkdir()
    application = TrainerApplication(Settings(tiny_base.folder, data, parallel_jobs=0))
    registry_server, trainer_address = await _serve(application, "127.0.0.1:0")
    await application.start()
    registry = GrpcRegistry(trainer_address)
    replica = FollowingReplica(tiny_base, tmp_path / "inference", followed=registry)
    await _publish(data, replica)
    server = grpc.aio.server(interceptors=[ErrorInterceptor()])
    servicer = InferenceServicer(replica.answering, replica.fleet)
    inference_service_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    following = asyncio.create_task(follow_aliases(registry, replica.fleet))
    own = House(replica, trainer_address, address, application, registry_server)
    await own.set_alias(FIRST)
    while not await own.ask(lambda client: client.resident_adapters("tenants/acme")):  # noqa: ASYNC110  # as above
        await asyncio.sleep(0.01)
    await replica.settle()
    yield own
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await replica.fleet.stop()
    await registry.close()
    await server.stop(0)
    await application.drain()
    await own.registry_server.stop(0)
    await application.stop()


async def _serve(application: TrainerApplication, address: str) -> tuple[grpc.aio.Server, str]:
    security = secure(SecuritySettings(insecure_loopback=True), address)  # what the registry records has a caller
    server = grpc.aio.server(interceptors=[ErrorInterceptor(), *security.interceptors()])
    application.register(server)
    port = security.bind(server, address)
    await server.start()
    return server, f"127.0.0.1:{port}"


async def _publish(data: Path, replica: Replica) -> None:
    """Two revisions with weights of their own, as a training job would."""
    database, blobs = Database(f"sqlite:///{data / 'trainer.db'}"), LocalBlobStore(data / "blobs")
    for number in (1, 2):
        name = replica.publish(number)
        folder = replica.registry.packages[name]
        contents = {path.name: path.read_bytes() for path in sorted(folder.iterdir(), key=_manifest_first)}
        files = tuple(PackageFile(name, len(body), blobs.put_bytes(body)) for name, body in contents.items())
        digest = replica.registry.digests[name]
        stored = Revision("", digest, files, "tenants/acme/jobs/j", CONTRACT, digest, ManualClock().now())
        await database.run(lambda c, stored=stored: shelf.add_revision(c, AdapterName("acme", "answer"), stored))
    database.close()


def _manifest_first(path: Path) -> tuple[bool, str]:
    return path.name != "manifest.json", path.name


class TestCanary:
    """A second revision of an adapter, on trial."""

    async def test_answers_by_weight_by_header_and_in_every_method(self, house: House) -> None:
        """Set at the registry, it gets its share as soon as it is loaded; the summary names who answered."""
        await house.set_alias(FIRST, HALF)
        await house.until_share(50)

        drawn = await house.answers(80)
        always, never = await house.answers(5, canary="always"), await house.answers(5, canary="never")
        generated = await house.ask(lambda client: client.generate(ADAPTER, "is it so?", canary="always"))
        *_, streamed = await house.ask(lambda client: list(client.stream(ADAPTER, "is it so?", canary="always")))

        assert set(drawn) == {FIRST, SECOND}
        assert 20 <= drawn[SECOND] <= 60
        assert (always, never) == (Counter({SECOND: 5}), Counter({FIRST: 5}))
        assert generated.summary.adapter_revision == streamed.summary.adapter_revision == SECOND

    @pytest.mark.parametrize("method", ["generate", "extract", "generate_sql", "stream"])
    async def test_is_chosen_by_two_words_only(self, house: House, method: str) -> None:
        """Anything else in x-canary is refused, by its name, before a token is spent."""
        with pytest.raises(InvalidInput, match="'sometimes'") as caught:
            await house.ask(lambda client: list(getattr(client, method)(ADAPTER, "x", canary="sometimes")))

        assert [violation.path for violation in caught.value.violations] == ["x-canary"]
        assert house.replica.engine.calls == []

    async def test_is_promoted_and_rolled_back_by_its_owner(self, house: House) -> None:
        """A promotion takes its revision for everybody; ending the split gives everybody the old one."""
        await house.set_alias(FIRST, HALF)
        await house.until_share(50)
        await house.set_alias(FIRST)
        await house.until_share(None)
        ended = await house.answers(10, canary="always")
        await house.set_alias(FIRST, HALF)
        await house.until_share(50)
        await house.set_alias(SECOND)
        await house.until_share(None)
        await house.replica.settle()

        assert ended == Counter({FIRST: 10})
        assert await house.answers(10) == Counter({SECOND: 10})

    async def test_that_is_worse_is_taken_back_everywhere(self, house: House) -> None:
        """By this replica at once, at the registry by it; the alias tells which revision, in what and by how much."""
        await house.set_alias(FIRST, HALF)
        await house.until_share(50)
        house.replica.engine.broken.add("acme/answer/2")

        await house.answers(60)
        after = await house.answers(10, canary="always")
        await house.until_share(None)  # the registry has heard of it, and says so
        alias = await house.set_alias(FIRST)

        assert after == Counter({FIRST: 10})
        assert not alias.HasField("canary")
        assert (alias.last_rollback.revision, alias.last_rollback.reason) == (
            SECOND, adapter_pb2.ROLLBACK_REASON_ERROR_RATE,
        )  # fmt: skip
        assert "p = " in alias.last_rollback.description

    async def test_is_taken_back_while_the_registry_is_away(self, house: House) -> None:
        """Requests are kept from it now, and the registry learns of it when it is back."""
        await house.set_alias(FIRST, HALF)
        await house.until_share(50)
        await house.registry_server.stop(0)
        house.replica.engine.broken.add("acme/answer/2")

        await house.answers(60)
        after, shown = await house.answers(10, canary="always"), await house.share()
        house.registry_server, _ = await _serve(house.application, house.trainer_address)
        await house.until_share(None)
        alias = await house.set_alias(FIRST)

        assert (after, shown) == (Counter({FIRST: 10}), 0)
        assert alias.last_rollback.revision == SECOND

    async def test_is_shown_by_the_command(self, house: House) -> None:
        """Whose canary it is, and its share."""
        await house.set_alias(FIRST, HALF)
        await house.until_share(50)
        env = {"COLUMNS": "250", "NO_COLOR": "1", "TERM": "dumb"}

        listed = await asyncio.to_thread(
            CliRunner().invoke, app, ["adapters", "tenants/acme", "--address", house.address], env=env
        )

        (line,) = (line for line in listed.stdout.splitlines() if SECOND in line)
        assert f"{ALIAS} (50 %)" in line
