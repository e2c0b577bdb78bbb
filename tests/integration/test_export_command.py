"""`goldsmith export` against a real trainer, and a replica that reads signed revisions from it."""

from __future__ import annotations

import asyncio
import json
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from deploy.quickstart.service_process import ServiceProcess
from inference_svc.app import signature_gate
from inference_svc.app.ports import Registry
from inference_svc.domain.residency import ResidentState
from inference_svc.registry_client import GrpcRegistry
from shared.adapter.key_file import TrustedKeyFile
from shared.adapter.package import MANIFEST_NAME, SIGNATURE_NAME, WEIGHTS_NAME, read_package
from shared.base_model import BaseModel
from shared.cli.main import app
from shared.client import TrainerClient
from shared.digest import hex_part
from shared.errors import DataLoss, DomainError, StateConflict, Unavailable
from shared.names import JobName
from shared.prompt import PromptRenderer
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from tests.adapter_file import write_random_package
from tests.cyclonedx_schema import assert_cyclonedx
from tests.operator_key import OperatorKey
from tests.unit.inference_svc.conftest import CONTRACT, RANK, SPEC, Replica
from tests.unit.trainer_svc.evaluation_sample import write_evaluation
from trainer_svc.app.live_comparison import StoredAnswers
from trainer_svc.app.promotion_gate import PromotionGate
from trainer_svc.app.publisher import Publisher
from trainer_svc.domain.job import Job, JobSpec, JobState
from trainer_svc.domain.run import Evaluation, RunFolder, RunResult
from trainer_svc.store import history
from trainer_svc.store.database import Database

pytestmark = pytest.mark.timeout(120)
ADAPTER = "tenants/acme/adapters/answer/revisions"
ONE, OTHER = OperatorKey(1), OperatorKey(2)
SIGNED, UNSIGNED, FOREIGN, ROTTEN = f"{ADAPTER}/1", f"{ADAPTER}/2", f"{ADAPTER}/3", f"{ADAPTER}/4"
Run = Callable[..., Result]


@dataclass(frozen=True)
class Server:
    """A running trainer."""

    address: str
    blobs: Path


@pytest.fixture(scope="module")
def server(tiny_base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Four revisions of one adapter: signed, not signed, signed by a stranger, and signed with bytes that rotted."""
    folder = tmp_path_factory.mktemp("trainer")
    data = folder / "data"
    data.mkdir()
    for number, operator in enumerate((ONE, None, OTHER, ONE), 1):
        _publish(data, folder, tiny_base, number, operator)
    flags = {
        "data-dir": str(data),
        "base-model-dir": str(tiny_base.folder),
        "listen": "127.0.0.1:0",
        "insecure-loopback": "true",
        "parallel-jobs": "0",
        "signing-key-file": str(ONE.write_private(folder / "signing.pem")),
    }
    with ServiceProcess("trainer_svc", flags, folder / "log") as process:
        address = process.wait_ready(60)
        with TrainerClient(address) as trainer:
            rotten = next(f for f in trainer.revision(ROTTEN).files if f.filename == WEIGHTS_NAME)
        path = data / "blobs" / hex_part(rotten.digest)
        path.write_bytes(path.read_bytes()[::-1])
        yield Server(address, data / "blobs")


def _publish(data: Path, folder: Path, base: BaseModel, number: int, operator: OperatorKey | None) -> None:
    """As the trainer does when a job's run has ended."""
    run, name, clock = RunFolder(folder / f"run-{number}"), JobName("acme", f"job-{number}"), ManualClock()
    digest = write_random_package(
        base, run.package, rank=RANK, seed=number, prompt_digest=PromptRenderer.load(base).digest,
        contract=CONTRACT, spec=SPEC,
    )  # fmt: skip
    run.result.write_bytes(RunResult(digest, Evaluation(5, 0.5, 0.6, None, 100.0, 10.0, 0.1)).to_json())
    write_evaluation(run)
    queued = Job(str(name), "tenants/acme/datasets/d", "tenants/acme/adapters/answer", "live", JobSpec(), clock.now())
    running = replace(queued, state=JobState.QUEUED).move(JobState.RUNNING, clock.now(), attempt=1)
    database, signer = Database(f"sqlite:///{data / 'trainer.db'}"), operator.signer if operator else None
    database.migrate()

    def work(connection: Any) -> None:  # Any: a connection
        history.add_job(connection, queued)
        history.save_job(connection, running)

    async def publish() -> None:
        await database.run(work)
        blobs = LocalBlobStore(data / "blobs")
        gate = PromotionGate(StoredAnswers(blobs))
        await Publisher(database, blobs, clock, gate, signer).publish(str(name), run)

    asyncio.run(publish())
    database.close()


@pytest.fixture
def run(server: Server) -> Run:
    """Runs a command of `goldsmith`."""

    def invoke(*arguments: str | Path) -> Result:
        return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})

    return invoke


@pytest.fixture
def export(run: Run, server: Server) -> Run:
    """Exports a revision into a folder."""
    return lambda revision, folder: run("export", revision, folder, "--address", server.address)


class TestExport:
    """A revision as files."""

    def test_is_the_package_as_it_was_published(self, export: Run, run: Run, tmp_path: Path) -> None:
        """Manifest, weights, config and signature, nothing else: `goldsmith verify` passes it, with the key too."""
        (tmp_path / "keys").write_bytes(ONE.public_pem)

        result = export(SIGNED, tmp_path / "mine")

        assert result.exit_code == 0, result.output
        assert {path.name for path in (tmp_path / "mine").iterdir()} == {
            MANIFEST_NAME, WEIGHTS_NAME, "adapter_config.json", SIGNATURE_NAME,
        }  # fmt: skip
        assert read_package(tmp_path / "mine").digest in result.stdout
        assert run("verify", tmp_path / "mine", "--trusted-keys", tmp_path / "keys").exit_code == 0
        assert {path.name for path in tmp_path.iterdir()} == {"mine", "mine.cdx.json", "keys"}

    def test_has_its_bill_beside_it(self, export: Run, tmp_path: Path) -> None:
        """In CycloneDX, with the revision's name, its digest and who signed; each export writes the same bytes."""
        export(SIGNED, tmp_path / "mine")
        (tmp_path / "again").mkdir()
        export(SIGNED, tmp_path / "again" / "mine")

        data = (tmp_path / "mine.cdx.json").read_bytes()
        bill = json.loads(data)
        assert_cyclonedx(bill)
        subject = bill["metadata"]["component"]
        assert (subject["name"], subject["version"]) == (SIGNED, read_package(tmp_path / "mine").digest)
        assert ONE.signer.key_id in json.dumps(subject["properties"])
        assert (tmp_path / "again" / "mine.cdx.json").read_bytes() == data

    def test_of_an_unsigned_revision_has_no_signature(self, export: Run, tmp_path: Path) -> None:
        """And is whole all the same."""
        assert export(UNSIGNED, tmp_path / "mine").exit_code == 0

        assert not (tmp_path / "mine" / SIGNATURE_NAME).exists()

    def test_that_is_cut_off_leaves_nothing(self, export: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing has the folder's name before the end, and what was fetched is gone; the next call begins anew."""
        whole = TrainerClient.file_chunks

        def cut(client: TrainerClient, name: str, filename: str, offset: int = 0) -> Iterator[bytes]:
            for data in whole(client, name, filename, offset):
                if filename == WEIGHTS_NAME:
                    yield data[:1000]
                    raise KeyboardInterrupt
                yield data

        with monkeypatch.context() as patch:
            patch.setattr(TrainerClient, "file_chunks", cut)
            first = export(SIGNED, tmp_path / "mine")
        kept = list(tmp_path.iterdir())

        second = export(SIGNED, tmp_path / "mine")

        assert (first.exit_code, second.exit_code) == (130, 0)
        assert kept == []
        read_package(tmp_path / "mine")

    def test_takes_shape_where_nobody_else_can_put_anything(
        self, export: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In a folder of another name each time, closed to others; the package has the rights that new folders have."""
        rooms: list[tuple[str, int]] = []
        whole = TrainerClient.file_chunks

        def noting(client: TrainerClient, name: str, filename: str, offset: int = 0) -> Iterator[bytes]:
            rooms.extend((room.name, stat.S_IMODE(room.stat().st_mode)) for room in tmp_path.glob(".mine.*"))
            yield from whole(client, name, filename, offset)

        monkeypatch.setattr(TrainerClient, "file_chunks", noting)
        for _ in range(2):
            assert export(SIGNED, tmp_path / "mine").exit_code == 0
            rights = (tmp_path / "mine").stat().st_mode
            shutil.rmtree(tmp_path / "mine")
        (tmp_path / "new").mkdir()

        assert len({name for name, _ in rooms}) == 2
        assert {mode for _, mode in rooms} == {0o700}
        assert rights == (tmp_path / "new").stat().st_mode

    def test_tries_again_when_the_server_goes_away(
        self, export: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """From the byte that came last, a few times."""
        monkeypatch.setattr("shared.client.download.time.sleep", lambda seconds: None)
        whole, failures = TrainerClient.file_chunks, iter(range(3))

        def failing(client: TrainerClient, name: str, filename: str, offset: int = 0) -> Iterator[bytes]:
            for data in whole(client, name, filename, offset):
                yield data[:700]
                if next(failures, None) is not None:
                    raise Unavailable("NOT_SERVING", "it restarts")
                yield data[700:]

        monkeypatch.setattr(TrainerClient, "file_chunks", failing)

        assert export(SIGNED, tmp_path / "mine").exit_code == 0
        assert next(failures, None) is None

    def test_of_other_bytes_leaves_nothing(self, export: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What rotted in the store is refused by the server, what was changed on the way by the digest."""
        whole = TrainerClient.file_chunks

        def changing(client: TrainerClient, name: str, filename: str, offset: int = 0) -> Iterator[bytes]:
            yield from (data[::-1] for data in whole(client, name, filename, offset))

        rotten = export(ROTTEN, tmp_path / "rotten")
        monkeypatch.setattr(TrainerClient, "file_chunks", changing)
        changed = export(SIGNED, tmp_path / "mine")

        assert (rotten.exit_code, changed.exit_code) == (1, 1)
        assert "DIGEST_MISMATCH" in rotten.stderr
        assert "DIGEST_MISMATCH" in changed.stderr
        assert list(tmp_path.iterdir()) == []

    def test_overwrites_nothing(self, export: Run, tmp_path: Path) -> None:
        """Neither a folder nor the bill of another adapter."""
        (tmp_path / "mine").mkdir()
        (tmp_path / "other.cdx.json").write_text("{}")

        results = [export(SIGNED, tmp_path / name) for name in ("mine", "other")]

        assert [result.exit_code for result in results] == [1, 1]
        assert all("RESOURCE_EXISTS" in result.stderr for result in results)
        assert not (tmp_path / "other").exists()
        assert (tmp_path / "other.cdx.json").read_text() == "{}"

    def test_leaves_a_folder_that_appears_meanwhile(
        self, export: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As one that was there before: success is told of nothing but the package."""

        def overtaken(folder: Path) -> None:
            (tmp_path / "mine").mkdir()
            (tmp_path / "mine" / "other").touch()

        monkeypatch.setattr("shared.cli.export.read_signature", overtaken)

        result = export(SIGNED, tmp_path / "mine")

        assert result.exit_code == 1
        assert "RESOURCE_EXISTS" in result.stderr
        assert [path.name for path in (tmp_path / "mine").iterdir()] == ["other"]

    def test_of_what_is_not_there_says_so(self, export: Run, tmp_path: Path) -> None:
        """A malformed name too; and a place that cannot be written."""
        (tmp_path / "file").touch()

        results = [
            export(f"{ADAPTER}/99", tmp_path / "mine"),
            export("answer", tmp_path / "mine"),
            export(SIGNED, tmp_path / "file" / "mine"),
        ]

        assert [result.exit_code for result in results] == [1, 1, 1]
        assert [result.stderr.split(":")[0] for result in results] == [
            "RESOURCE_NOT_FOUND", "FIELD_INVALID", "FIELD_INVALID",
        ]  # fmt: skip
        assert [path.name for path in tmp_path.iterdir()] == ["file"]


@dataclass
class _Remote(Replica):
    """A replica whose registry is the real one; contracts, which that one does not have, come from the fake."""

    address: str = ""

    def serving_registry(self) -> Registry:
        """Over gRPC."""
        self.client = GrpcRegistry(self.address)
        return self.client


class TestReplica:
    """A replica with a list of keys, at a real registry."""

    @pytest.mark.asyncio
    async def test_loads_what_is_signed_and_nothing_else(
        self, server: Server, tiny_base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Unsigned, signed by a stranger and rotted revisions are refused; the stranger's once it is trusted, not."""
        monkeypatch.setattr(signature_gate, "_RETRY_SECONDS", 0.0)
        keys = tmp_path / "keys"
        await asyncio.to_thread(keys.write_bytes, ONE.public_pem)
        trusted = TrustedKeyFile(keys, "trusted_keys_file")
        replica = _Remote(tiny_base, tmp_path, capacity=4, trusted_keys=trusted, address=server.address)

        await replica.use(SIGNED)
        refusals = [await _refusal(replica, name) for name in (UNSIGNED, FOREIGN, ROTTEN)]
        before = replica.states()
        await asyncio.to_thread(keys.write_bytes, ONE.public_pem + OTHER.public_pem)
        await replica.use(FOREIGN)
        await replica.client.close()

        assert [(error.reason, error.metadata.get("fault")) for error in refusals] == [
            ("SIGNATURE_REFUSED", "missing"), ("SIGNATURE_REFUSED", "untrusted"), ("DIGEST_MISMATCH", None),
        ]  # fmt: skip
        assert [type(error) for error in refusals] == [StateConflict, StateConflict, DataLoss]
        assert before[1] is ResidentState.LIVE
        assert {before[number] for number in (2, 3, 4)} == {ResidentState.REJECTED}
        assert replica.states()[3] is ResidentState.LIVE


async def _refusal(replica: Replica, name: str) -> DomainError:
    with pytest.raises(DomainError) as caught:
        await replica.use(name)
    return caught.value


class TestSigningKey:
    """`--signing-key-file` of the trainer."""

    def test_that_others_can_read_stops_the_start(self, tiny_base: BaseModel, tmp_path: Path) -> None:
        """With the setting's name, and without the key."""
        path = ONE.write_private(tmp_path / "signing.pem")
        path.chmod(0o644)
        flags = {
            "data-dir": str(tmp_path / "data"),
            "base-model-dir": str(tiny_base.folder),
            "insecure-loopback": "true",
            "signing-key-file": str(path),
        }

        with ServiceProcess("trainer_svc", flags, tmp_path / "log") as process, pytest.raises(RuntimeError):
            process.wait_ready(60)

        log = (tmp_path / "log").read_text()
        assert "signing_key_file" in log
        assert "Traceback" not in log
        assert ONE.private_pem.splitlines()[1].decode() not in log
