"""The registry over a real socket: aliases and files of revisions that are in its stores already."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from goldsmith.registry.v1 import adapter_pb2, registry_service_pb2_grpc
from goldsmith.registry.v1 import registry_service_pb2 as registry_pb
from shared.adapter.canary import CanarySplit, RollbackPolicy
from shared.adapter.manifest import PackageFile
from shared.client import TrainerClient
from shared.client.channel import domain_errors
from shared.digest import hex_part
from shared.errors import Conflict, DataLoss, InvalidInput, NotFound
from shared.names import AdapterName, RevisionName
from shared.rpc.canary_message import moment_of, split_of
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from tests.trainer_process import trainer_process
from trainer_svc.domain.registry import Revision
from trainer_svc.store import shelf
from trainer_svc.store.database import Database

TENANT = "tenants/acme"
WEIGHTS = bytes(range(256)) * 10_000
"""Above two chunks."""
pytestmark = pytest.mark.timeout(120)


@dataclass(frozen=True)
class Server:
    """A running trainer."""

    address: str
    blobs: Path


@pytest.fixture(scope="module")
def server(tiny_base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Three revisions of one adapter."""
    folder = tmp_path_factory.mktemp("trainer")
    data = folder / "data"
    data.mkdir()
    _publish_three(data)
    with trainer_process(folder, tiny_base_folder, parallel_jobs="0") as process:
        yield Server(process.wait_ready(60), data / "blobs")


def _publish_three(data: Path) -> None:
    database, blobs = Database(f"sqlite:///{data / 'trainer.db'}"), LocalBlobStore(data / "blobs")
    database.migrate()
    for number in (1, 2, 3):
        contents = {"manifest.json": b"manifest %d" % number, "adapter_model.safetensors": WEIGHTS + b"%d" % number}
        files = tuple(PackageFile(name, len(body), blobs.put_bytes(body)) for name, body in contents.items())
        zero = "sha256:" + "0" * 64
        revision = Revision("", zero, files, f"{TENANT}/jobs/j", f"{TENANT}/contracts/c", zero, ManualClock().now())

        def work(connection: Any, revision: Revision = revision) -> None:
            shelf.add_revision(connection, AdapterName("acme", "a"), revision)

        asyncio.run(database.run(work))
    database.close()


@pytest.fixture(scope="module")
def trainer(server: Server) -> Iterator[TrainerClient]:
    """The typed client."""
    with TrainerClient(server.address) as client:
        yield client


@pytest.fixture(scope="module")
def channel(server: Server) -> Iterator[grpc.Channel]:
    """For what the client does not offer."""
    with grpc.insecure_channel(server.address) as own:
        yield own


class TestAliases:
    """SetAlias and WatchAliases."""

    def test_an_etag_protects_a_move(self, trainer: TrainerClient) -> None:
        """Idempotent; an old etag, a revision that is not there and another adapter's are refused."""
        name, revisions = f"{TENANT}/adapters/a/aliases/etag", f"{TENANT}/adapters/a/revisions"
        first = trainer.set_alias(name, f"{revisions}/1")

        assert trainer.set_alias(name, f"{revisions}/1", first.etag) == first
        moved = trainer.set_alias(name, f"{revisions}/2", first.etag)
        assert moved.etag != first.etag
        with pytest.raises(Conflict) as caught:
            trainer.set_alias(name, f"{revisions}/1", first.etag)
        assert (caught.value.reason, caught.value.metadata["etag"]) == ("ETAG_MISMATCH", moved.etag)
        with pytest.raises(NotFound):
            trainer.set_alias(name, f"{revisions}/99")
        with pytest.raises(InvalidInput):
            trainer.set_alias(name, f"{TENANT}/adapters/b/revisions/1")

    def test_a_canary_is_set_changed_rolled_back_and_promoted(
        self, trainer: TrainerClient, channel: grpc.Channel
    ) -> None:
        """Each is a move of the alias: seen by who follows it, and protected by its etag."""
        stub = registry_service_pb2_grpc.RegistryServiceStub(channel)
        name, revisions = f"{TENANT}/adapters/a/aliases/trial", f"{TENANT}/adapters/a/revisions"
        second = CanarySplit(RevisionName.parse(f"{revisions}/2"), 5, RollbackPolicy(confidence=0.9))
        plain = trainer.set_alias(name, f"{revisions}/1")
        watch = stub.WatchAliases(registry_pb.WatchAliasesRequest(), timeout=30)
        while next(watch).HasField("alias"):
            pass

        begun = trainer.set_alias(name, f"{revisions}/1", plain.etag, canary=second)
        with pytest.raises(Conflict):
            trainer.set_alias(name, f"{revisions}/1", plain.etag, canary=second)
        ended = stub.RollBackCanary(_rollback(begun), timeout=10)
        again = trainer.set_alias(name, f"{revisions}/1", ended.etag, canary=second)
        promoted = trainer.set_alias(name, f"{revisions}/2", again.etag)
        seen = [next(watch).alias for _ in range(4)]
        watch.cancel()

        assert split_of(begun.canary) == replace(second, start_time=moment_of(begun.update_time, "update_time"))
        assert not ended.HasField("canary")
        assert (ended.last_rollback.revision, ended.last_rollback.description) == (f"{revisions}/2", "4 of 8")
        assert stub.RollBackCanary(_rollback(begun), timeout=10) == promoted
        assert (promoted.revision, promoted.HasField("canary")) == (f"{revisions}/2", False)
        assert seen == [begun, ended, again, promoted]

    def test_every_fault_of_a_canary_is_named(self, trainer: TrainerClient) -> None:
        """By the path of its field; a revision that is not there is not found."""
        name, first = f"{TENANT}/adapters/a/aliases/faulty", RevisionName("acme", "a", 1)
        wrong = CanarySplit(first, 100, RollbackPolicy(confidence=0.1, rate_margin=2, latency_margin=-1))

        with pytest.raises(InvalidInput) as caught:
            trainer.set_alias(name, str(first), canary=wrong)
        with pytest.raises(InvalidInput, match=r"alias\.canary\.revision"):
            trainer.set_alias(name, str(first), canary=CanarySplit(RevisionName("acme", "b", 1), 5))
        with pytest.raises(NotFound):
            trainer.set_alias(name, str(first), canary=CanarySplit(RevisionName("acme", "a", 99), 5))

        assert {violation.path.removeprefix("alias.canary.") for violation in caught.value.violations} == {
            "percent", "revision", "rollback_policy.confidence", "rollback_policy.rate_margin",
            "rollback_policy.latency_margin",
        }  # fmt: skip

    def test_a_watch_gives_the_present_then_changes_and_resumes(
        self, trainer: TrainerClient, channel: grpc.Channel
    ) -> None:
        """State, bookmark, live change; who comes back with a cursor gets what came after it, and nothing twice."""
        stub = registry_service_pb2_grpc.RegistryServiceStub(channel)
        name, revisions = f"{TENANT}/adapters/a/aliases/watched", f"{TENANT}/adapters/a/revisions"
        trainer.set_alias(name, f"{revisions}/1")
        # Less than the pause between two bookmarks: the one that ends the present state comes at once.
        stream, present = stub.WatchAliases(registry_pb.WatchAliasesRequest(), timeout=10), {}
        while (message := next(stream)).HasField("alias"):
            present[message.alias.name] = message.alias.revision
        bookmark = message.cursor

        trainer.set_alias(name, f"{revisions}/2")
        live = next(stream)
        stream.cancel()
        trainer.set_alias(name, f"{revisions}/3")
        later = stub.WatchAliases(registry_pb.WatchAliasesRequest(cursor=bookmark), timeout=30)
        seen = [next(later), next(later)]
        later.cancel()

        assert present[name] == f"{revisions}/1"
        assert (live.alias.name, live.alias.revision) == (name, f"{revisions}/2")
        assert seen[0] == live
        assert seen[1].alias.revision == f"{revisions}/3"
        assert int(seen[1].cursor) == int(live.cursor) + 1 == int(bookmark) + 2


def _rollback(alias: adapter_pb2.AdapterAlias) -> registry_pb.RollBackCanaryRequest:
    return registry_pb.RollBackCanaryRequest(
        name=alias.name, revision=alias.canary.revision, start_time=alias.canary.start_time,
        reason=adapter_pb2.ROLLBACK_REASON_ERROR_RATE, description="4 of 8",
    )  # fmt: skip


class TestDownload:
    """DownloadRevision."""

    def _read(
        self, channel: grpc.Channel, number: int, filename: str = "", offset: int = 0
    ) -> list[registry_pb.DownloadRevisionResponse]:
        stub = registry_service_pb2_grpc.RegistryServiceStub(channel)
        request = registry_pb.DownloadRevisionRequest(
            name=f"{TENANT}/adapters/a/revisions/{number}", filename=filename, offset=offset
        )
        with domain_errors():
            return list(stub.DownloadRevision(request, timeout=30))

    def test_chunks_join_to_the_files_in_order(self, channel: grpc.Channel) -> None:
        """Each says where it belongs and none exceeds its limit."""
        chunks = self._read(channel, 1)
        files: dict[str, bytes] = {}
        for chunk in chunks:
            assert chunk.offset == len(files.get(chunk.filename, b""))
            assert len(chunk.data) <= 1 << 20
            files[chunk.filename] = files.get(chunk.filename, b"") + chunk.data

        assert list(files.items()) == [
            ("manifest.json", b"manifest 1"),
            ("adapter_model.safetensors", WEIGHTS + b"1"),
        ]
        assert len(chunks) == 4

    def test_one_file_resumes_at_an_offset(self, channel: grpc.Channel) -> None:
        """The rest of it, with its true place."""
        chunks = self._read(channel, 2, "adapter_model.safetensors", 2_000_000)

        assert chunks[0].offset == 2_000_000
        assert b"".join(chunk.data for chunk in chunks) == (WEIGHTS + b"2")[2_000_000:]

    def test_what_is_not_there_is_said(self, channel: grpc.Channel) -> None:
        """An unknown file is not an empty one; an offset needs a file."""
        with pytest.raises(NotFound):
            self._read(channel, 1, "../trainer.db")
        with pytest.raises(NotFound):
            self._read(channel, 99)
        with pytest.raises(InvalidInput):
            self._read(channel, 1, offset=5)

    def test_a_flipped_byte_is_data_loss(self, channel: grpc.Channel, trainer: TrainerClient, server: Server) -> None:
        """Rotted bytes never arrive as a whole file."""
        file = trainer.revision(f"{TENANT}/adapters/a/revisions/3").files[1]
        path = server.blobs / hex_part(file.digest)
        path.write_bytes(b"x" + path.read_bytes()[1:])

        with pytest.raises(DataLoss) as caught:
            self._read(channel, 3)

        assert caught.value.reason == "DIGEST_MISMATCH"
