"""The trainer over a real socket: one server process, SQLite on disk, no training."""

from __future__ import annotations

import hashlib
import io
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from deploy.quickstart.service_process import ServiceProcess
from goldsmith.contract.v1 import contract_service_pb2, contract_service_pb2_grpc
from goldsmith.registry.v1 import registry_service_pb2, registry_service_pb2_grpc
from goldsmith.trainer.v1 import dataset_service_pb2 as dataset_pb
from goldsmith.trainer.v1 import (
    dataset_service_pb2_grpc,
    example_preview_pb2,
    golden_dataset_pb2,
    training_job_pb2,
)
from shared.cli.main import app
from shared.client import TrainerClient
from shared.client.channel import domain_errors
from shared.errors import AlreadyExists, Conflict, InvalidInput, NotFound, OutOfRange, StateConflict

SCHEMA = '{"type":"object","properties":{"n":{"type":"integer","minimum":0,"maximum":9}},"required":["n"]}'
TENANT = "tenants/acme"
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def address(tiny_base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A trainer with one contract."""
    folder = tmp_path_factory.mktemp("trainer")
    flags = {
        "data-dir": str(folder / "data"),
        "base-model-dir": str(tiny_base_folder),
        "listen": "127.0.0.1:0",
        "insecure-loopback": "true",
    }
    process = ServiceProcess("trainer_svc", flags, folder / "log")
    with process:
        yield process.wait_ready(60)
    assert process.process.returncode == 0, (folder / "log").read_text()[-2000:]


@pytest.fixture(scope="module")
def trainer(address: str) -> Iterator[TrainerClient]:
    """The typed client."""
    with TrainerClient(address) as client:
        client.create_contract(f"{TENANT}/contracts/answer", json_schema=SCHEMA)
        yield client


@pytest.fixture(scope="module")
def channel(address: str) -> Iterator[grpc.Channel]:
    """For what the client does not offer."""
    with grpc.insecure_channel(address) as own:
        yield own


@pytest.fixture
def dataset(trainer: TrainerClient) -> str:
    """A new dataset, importing."""
    golden = golden_dataset_pb2.GoldenDataset(contract=f"{TENANT}/contracts/answer")
    return trainer.create_dataset(f"{TENANT}/datasets/d-{uuid.uuid4().hex[:8]}", golden).name


def _rows(count: int = 40) -> bytes:
    return b"".join(json.dumps({"input": f"row {i}", "output": {"n": i % 10}}).encode() + b"\n" for i in range(count))


class TestContracts:
    """CreateContract."""

    def test_is_idempotent_by_definition(self, trainer: TrainerClient) -> None:
        """The same again is the same; another definition under the name is refused."""
        again = trainer.create_contract(f"{TENANT}/contracts/answer", json_schema=SCHEMA)

        assert again.report.min_output_tokens > 1
        with pytest.raises(AlreadyExists):
            trainer.create_contract(f"{TENANT}/contracts/answer", json_schema='{"type":"boolean"}')

    def test_validate_only_stores_nothing(self, trainer: TrainerClient, channel: grpc.Channel) -> None:
        """The report comes back, the contract does not exist."""
        name = f"{TENANT}/contracts/dry"
        report = trainer.create_contract(name, json_schema='{"type":"boolean"}', validate_only=True).report
        stub = contract_service_pb2_grpc.ContractServiceStub(channel)

        assert report.state_count > 0
        with pytest.raises(NotFound), domain_errors():
            stub.GetContract(contract_service_pb2.GetContractRequest(name=name), timeout=10)

    def test_lists_in_pages(self, trainer: TrainerClient, channel: grpc.Channel) -> None:
        """Pages join to the list; a foreign token is refused."""
        for number in range(3):
            trainer.create_contract(f"{TENANT}/contracts/page-{number}", json_schema='{"type":"boolean"}')
        stub = contract_service_pb2_grpc.ContractServiceStub(channel)
        names, token = [], ""
        while True:
            request = contract_service_pb2.ListContractsRequest(parent=TENANT, page_size=2, page_token=token)
            page = stub.ListContracts(request, timeout=10)
            names += [contract.name for contract in page.contracts]
            token = page.next_page_token
            if not token:
                break

        assert names == sorted(set(names))
        assert len(names) >= 4
        with pytest.raises(InvalidInput), domain_errors():
            stub.ListContracts(contract_service_pb2.ListContractsRequest(parent=TENANT, page_token="!"), timeout=10)


class TestUpload:
    """Chunks, seal and check."""

    def test_resumes_and_seals_by_digest(self, trainer: TrainerClient, channel: grpc.Channel, dataset: str) -> None:
        """A gap names the next offset, other bytes are refused, a wrong digest seals nothing, sealing twice is once."""
        stub, data = dataset_service_pb2_grpc.DatasetServiceStub(channel), _rows()

        def upload(offset: int, chunk: bytes) -> int:
            request = dataset_pb.UploadDatasetChunkRequest(name=dataset, offset=offset, data=chunk)
            with domain_errors():
                return stub.UploadDatasetChunk(request, timeout=10).next_offset

        assert upload(0, data[:100]) == 100
        assert upload(0, data[:100]) == 100
        with pytest.raises(OutOfRange) as gap:
            upload(200, data[200:])
        with pytest.raises(Conflict):
            upload(0, b"x" * 10)
        seal = dataset_pb.SealGoldenDatasetRequest(name=dataset, size_bytes=len(data), digest="sha256:" + "0" * 64)
        with pytest.raises(StateConflict) as early, domain_errors():
            stub.SealGoldenDataset(seal, timeout=30)

        sealed = trainer.upload(dataset, data)

        assert gap.value.metadata["next_offset"] == "100"
        assert early.value.reason == "DIGEST_DIFFERS"
        assert sealed.state == golden_dataset_pb2.GOLDEN_DATASET_STATE_ACTIVE
        assert sealed.digest == "sha256:" + hashlib.sha256(data).hexdigest()
        assert (sealed.report.train_count, sealed.report.holdout_count) == (36, 4)
        assert sealed.report.token_lengths.row_count == 40
        assert 0 < sealed.report.token_lengths.total.p50 <= sealed.report.token_lengths.total.max < 512
        assert trainer.upload(dataset, data) == sealed
        with pytest.raises(StateConflict):
            upload(len(data), b"more")

    def test_findings_come_by_row_in_pages(self, trainer: TrainerClient, channel: grpc.Channel, dataset: str) -> None:
        """Every bad row is listed once, in order, whatever the page size."""
        lines = _rows(40).splitlines()
        bad = [3, 7, 11, 19]
        for number in bad:
            lines[number - 1] = b'{"input":"x","output":{"n":"no"}}'
        sealed = trainer.upload(dataset, b"\n".join(lines))
        stub, numbers, token = dataset_service_pb2_grpc.DatasetServiceStub(channel), [], ""
        while True:
            request = dataset_pb.ListDatasetFindingsRequest(parent=dataset, page_size=3, page_token=token)
            page = stub.ListDatasetFindings(request, timeout=10)
            numbers += [finding.row_number for finding in page.findings if finding.blocking]
            token = page.next_page_token
            if not token:
                break

        assert sealed.state == golden_dataset_pb2.GOLDEN_DATASET_STATE_FAILED
        assert numbers == bad
        job = training_job_pb2.TrainingJob(dataset=dataset, adapter=f"{TENANT}/adapters/a")
        with pytest.raises(StateConflict):
            trainer.train(f"{TENANT}/jobs/too-early", job)

    @pytest.mark.usefixtures("trainer")
    def test_a_request_id_creates_once(self, channel: grpc.Channel) -> None:
        """The repeat gets the first answer; the id with another payload is refused."""
        stub = dataset_service_pb2_grpc.DatasetServiceStub(channel)
        request = dataset_pb.CreateGoldenDatasetRequest(
            parent=TENANT,
            dataset_id="once",
            dataset=golden_dataset_pb2.GoldenDataset(contract=f"{TENANT}/contracts/answer"),
            request_id=str(uuid.uuid4()),
        )

        first, second = stub.CreateGoldenDataset(request, timeout=10), stub.CreateGoldenDataset(request, timeout=10)

        assert first == second
        request.dataset_id = "twice"
        with pytest.raises(InvalidInput) as caught, domain_errors():
            stub.CreateGoldenDataset(request, timeout=10)
        assert caught.value.reason == "REQUEST_ID_REUSED"


class TestPreview:
    """PreviewExample, and the command that draws it."""

    def test_shows_rows_of_an_active_dataset(self, trainer: TrainerClient, dataset: str) -> None:
        """Each token with its role; other rows do not exist."""
        trainer.upload(dataset, _rows())

        preview = trainer.preview(dataset, 7)

        learned = b"".join(token.text for token in preview.tokens if token.learned)
        assert learned == b'{"n":6}'
        assert [result.fault for result in preview.proofs] == [""] * 6
        with pytest.raises(NotFound, match="no row 41"):
            trainer.preview(dataset, 41)
        with pytest.raises(InvalidInput):
            trainer.preview(dataset, 0)

    def test_says_why_a_row_is_not_there(self, trainer: TrainerClient, dataset: str) -> None:
        """A row that was left out is named with its finding; before the seal there are no rows."""
        with pytest.raises(StateConflict):
            trainer.preview(dataset, 1)
        long = json.dumps({"input": "#" * 600, "output": {"n": 1}}).encode()
        rows = b"\n".join([*_rows().splitlines(), long, b'{"input":"x","output":{"n":"no"}}'])
        trainer.upload(dataset, rows, golden_dataset_pb2.INVALID_ROW_POLICY_EXCLUDE)

        with pytest.raises(NotFound, match=r"CONTRACT_VIOLATED rows.42..output#/n"):
            trainer.preview(dataset, 42)
        with pytest.raises(NotFound, match=r"ROW_TOO_LONG .* the context holds 512"):
            trainer.preview(dataset, 41)

    def test_is_drawn_by_the_command(self, trainer: TrainerClient, address: str, dataset: str) -> None:
        """Text for people and JSON for machines; a row that is not there ends with 1."""
        trainer.upload(dataset, _rows())
        command = ["dataset", "preview", dataset, "--address", address]
        shell = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}

        drawn = CliRunner().invoke(app, [*command, "7"], env=shell)
        machine = CliRunner().invoke(app, [*command, "7", "--json"], env=shell)
        absent = CliRunner().invoke(app, [*command, "99"], env=shell)

        assert drawn.exit_code == 0, drawn.output
        assert drawn.stdout.startswith("<|input|>row 6<|output|>|{")
        assert "6 of 6 proofs hold" in drawn.stdout
        assert json.loads(machine.stdout)["row_number"] == 7
        assert json.loads(machine.stdout)["tokens"][0]["learned"] is False
        assert absent.exit_code == 1
        assert "no row 99" in absent.stderr


class TestFormats:
    """Uploads that are not JSON Lines."""

    @pytest.mark.parametrize("name", ["CSV", "PARQUET"])
    def test_are_read_as_the_dataset_says(self, trainer: TrainerClient, name: str) -> None:
        """And shown with it."""
        kind = golden_dataset_pb2.GoldenDatasetFormat.Value(f"GOLDEN_DATASET_FORMAT_{name}")
        golden = golden_dataset_pb2.GoldenDataset(contract=f"{TENANT}/contracts/answer", format=kind)
        table = pa.table({"input": [f"row {i}" for i in range(40)], "output": [{"n": i % 10} for i in range(40)]})
        file = io.BytesIO()
        parquet.write_table(table, file)
        csv = "output,input\n" + "".join(f'"{{""n"":{i % 10}}}",row {i}\n' for i in range(40))
        dataset = trainer.create_dataset(f"{TENANT}/datasets/d-{uuid.uuid4().hex[:8]}", golden).name

        sealed = trainer.upload(dataset, file.getvalue() if name == "PARQUET" else csv.encode())

        assert sealed.state == golden_dataset_pb2.GOLDEN_DATASET_STATE_ACTIVE
        assert sealed.format == kind
        assert (sealed.report.train_count, sealed.report.holdout_count) == (36, 4)


class TestSplit:
    """What is held out where no row says so."""

    def _held(self, trainer: TrainerClient, seed: int) -> tuple[str, frozenset[int]]:
        """A dataset with the seed, and the rows that are held out of it."""
        golden = golden_dataset_pb2.GoldenDataset(contract=f"{TENANT}/contracts/answer", split_seed=seed)
        name = trainer.create_dataset(f"{TENANT}/datasets/d-{uuid.uuid4().hex[:8]}", golden).name
        trainer.upload(name, _rows())
        held = example_preview_pb2.EXAMPLE_SPLIT_HOLDOUT
        return name, frozenset(row for row in range(1, 41) if trainer.preview(name, row).split == held)

    def test_is_chosen_by_its_seed(self, trainer: TrainerClient) -> None:
        """Another seed holds out other rows, the same one the same, and the dataset tells it."""
        name, first = self._held(trainer, 7)

        assert trainer.dataset(name).split_seed == 7
        assert first == self._held(trainer, 7)[1]
        assert first != self._held(trainer, 8)[1]
        assert len(first) == 4

    def test_its_seed_is_told_by_the_command(self, trainer: TrainerClient, address: str) -> None:
        """And stays with what is curated from it."""
        name, _ = self._held(trainer, 7)
        step = golden_dataset_pb2.CURATION_STEP_DROP_DUPLICATES
        made = trainer.curate(f"{TENANT}/datasets/c-{uuid.uuid4().hex[:8]}", name, [step])

        told = CliRunner().invoke(app, ["dataset", "report", made.name, "--json", "--address", address])

        assert json.loads(told.stdout)["split_seed"] == 7

    def test_its_seed_is_no_negative_number(self, trainer: TrainerClient) -> None:
        """The field is named."""
        with pytest.raises(InvalidInput) as caught:
            self._held(trainer, -1)

        assert [violation.path for violation in caught.value.violations] == ["dataset.split_seed"]


class TestCuration:
    """A dataset from another."""

    def test_shows_lineage_and_changes(self, trainer: TrainerClient, dataset: str) -> None:
        """Of each row that was dropped; the source is as it was."""
        source = trainer.upload(dataset, _rows(40) + _rows(2))
        step = golden_dataset_pb2.CURATION_STEP_DROP_DUPLICATES

        made = trainer.curate(f"{TENANT}/datasets/c-{uuid.uuid4().hex[:8]}", dataset, [step])

        assert made.state == golden_dataset_pb2.GOLDEN_DATASET_STATE_ACTIVE
        assert (made.lineage.source, made.lineage.source_digest, list(made.lineage.steps)) == (
            dataset,
            source.digest,
            [step],
        )
        assert made.report.row_count == 40
        changes = list(trainer.changes(made.name))
        assert len(changes) == 2
        assert {(change.step, change.after_digest) for change in changes} == {(step, "")}
        assert trainer.upload(dataset, _rows(40) + _rows(2)) == source
        with pytest.raises(InvalidInput):
            trainer.curate(f"{TENANT}/datasets/none", dataset, [99])  # type: ignore[list-item]  # of a newer caller


class TestJobs:
    """Jobs that never run."""

    @pytest.mark.parametrize(
        ("spec", "path"),
        [
            ({"rank": 7}, "job.spec.rank"),
            ({"learning_rate": 0.0}, "job.spec.learning_rate"),
            ({"epoch_count": 0}, "job.spec.epoch_count"),
            ({"loraplus_ratio": 0.5}, "job.spec.loraplus_ratio"),
            ({"early_stopping_patience": 11}, "job.spec.early_stopping_patience"),
            ({"early_stopping_patience": -1}, "job.spec.early_stopping_patience"),
            ({"batch_size": 1000}, "job.spec.batch_size"),
            ({"seed": -1}, "job.spec.seed"),
        ],
    )
    def test_settings_out_of_range_are_named(self, trainer: TrainerClient, spec: dict[str, float], path: str) -> None:
        """The field path and the range come back before anything is queued."""
        job = training_job_pb2.TrainingJob(
            dataset=f"{TENANT}/datasets/any",
            adapter=f"{TENANT}/adapters/a",
            spec=training_job_pb2.TrainingSpec(**spec),
        )

        with pytest.raises(InvalidInput) as caught:
            trainer.train(f"{TENANT}/jobs/wrong", job)

        assert caught.value.violations[0].path == path

    def test_are_estimated_only_from_what_was_measured(self, trainer: TrainerClient, dataset: str) -> None:
        """A dataset that is not active and a machine without a run are told apart."""
        job = training_job_pb2.TrainingJob(dataset=dataset)
        with pytest.raises(StateConflict) as open_:
            trainer.estimate(TENANT, job)
        trainer.upload(dataset, _rows())

        with pytest.raises(StateConflict) as unmeasured:
            trainer.estimate(TENANT, job)

        assert (open_.value.reason, unmeasured.value.reason) == ("STATE_CONFLICT", "NOT_MEASURED")
        assert "let one job run" in unmeasured.value.message

    def test_names_of_other_tenants_are_refused(self, trainer: TrainerClient) -> None:
        """Job, dataset and adapter belong to one tenant."""
        job = training_job_pb2.TrainingJob(dataset="tenants/other/datasets/d", adapter=f"{TENANT}/adapters/a")

        with pytest.raises(InvalidInput):
            trainer.train(f"{TENANT}/jobs/mixed", job)


class TestRegistry:
    """A registry without revisions."""

    def test_watching_from_a_foreign_cursor_is_refused(self, channel: grpc.Channel) -> None:
        """The caller is told to begin anew."""
        stub = registry_service_pb2_grpc.RegistryServiceStub(channel)

        with pytest.raises(OutOfRange) as caught, domain_errors():
            next(stub.WatchAliases(registry_service_pb2.WatchAliasesRequest(cursor="42"), timeout=10))

        assert caught.value.reason == "CURSOR_INVALID"

    def test_unknown_revisions_are_not_found(self, trainer: TrainerClient) -> None:
        """By name."""
        with pytest.raises(NotFound, match="revisions/3"):
            trainer.revision(f"{TENANT}/adapters/a/revisions/3")
