"""Datasets labelled by a teacher: the trainer as a process, and teachers on sockets of their own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.quickstart.service_process import ServiceProcess
from goldsmith.trainer.v1 import example_preview_pb2
from goldsmith.trainer.v1 import golden_dataset_pb2 as pb
from shared.cli.main import app
from shared.client import TrainerClient
from shared.digest import sha256_bytes
from shared.errors import NotFound
from tests.teacher_house import BUSY, DESKS, REFUSAL, SILENCE, Desk, Reply, Script, http_desk
from trainer_svc.curation.row_file import load_rows

SCHEMA = '{"type":"object","properties":{"n":{"type":"integer","minimum":0,"maximum":99}},"required":["n"]}'
TENANT, DATASET = "tenants/acme", "tenants/acme/datasets/labelled"
SECRET = "sk-9f8e7d6c5b4a"
WORDS = "ash birch cedar elm fir hazel larch maple oak pine rowan spruce willow yew alder beech".split()
GOLDEN = [{"input": f"how tall is the {word}", "output": {"n": n}} for n, word in enumerate(WORDS)]
ASKED = [{"input": f"what grows near {word} in town {n}"} for n, word in enumerate(WORDS)]
DATA = b"".join(json.dumps(row).encode() + b"\n" for row in [*GOLDEN, *ASKED])
pytestmark = pytest.mark.timeout(180)


def _right(request: Any) -> Reply:  # Any: JSON
    """The number at the end of the input."""
    return Reply(json.dumps({"n": int(request["messages"][-1]["content"].split()[-1])}))


class House:
    """A trainer, which may be killed and started again, and its teachers by name."""

    def __init__(self, folder: Path, base: Path, teachers: dict[str, tuple[Desk, str]]) -> None:
        self.folder, self.log = folder, folder / "log"
        (folder / "key").write_text(SECRET)
        entries = [
            f'[teachers.{name}]\nkind = "{desk.kind}"\nurl = "{desk.url}"\nmodel = "{_model(desk)}"\n'
            f"tenants = {tenants}\nattempts = 3\nparallel_requests = 2\n"
            + (f'api_key_file = "{folder / "key"}"\n' if desk.kind == "openai" else "")
            for name, (desk, tenants) in teachers.items()
        ]
        (folder / "teachers.toml").write_text("\n".join(entries))
        self._flags = {
            "data-dir": str(folder / "data"), "base-model-dir": str(base), "listen": "127.0.0.1:0",
            "insecure-loopback": "true", "teachers-file": str(folder / "teachers.toml"),
        }  # fmt: skip

    @contextmanager
    def serving(self) -> Iterator[tuple[ServiceProcess, TrainerClient]]:
        """One life of the service."""
        process = ServiceProcess("trainer_svc", self._flags, self.log)
        with process, TrainerClient(process.wait_ready(60)) as client:
            yield process, client
        assert SECRET not in self.log.read_text()


def _model(desk: Desk) -> str:
    return "large-1" if desk.kind == "openai" else ""


@contextmanager
def _house(folder: Path, base: Path, *, kind: str = "openai", script: Script = _right) -> Iterator[tuple[House, Desk]]:
    """With the teacher `large` for acme, and `theirs` for globex."""
    with ExitStack() as stack:
        desk = stack.enter_context(DESKS[kind](script))
        theirs = stack.enter_context(http_desk(_right))
        yield House(folder, base, {"large": (desk, '["acme"]'), "theirs": (theirs, '["globex"]')}), desk


def _seal(client: TrainerClient, teacher: str = "large", **settings: Any) -> pb.GoldenDataset:  # Any: fields
    client.create_contract(f"{TENANT}/contracts/answer", json_schema=SCHEMA)
    wanted = pb.TeacherSettings(teacher=teacher, **settings)
    golden = pb.GoldenDataset(contract=f"{TENANT}/contracts/answer", instruction_prompt="Count.", teacher=wanted)
    client.create_dataset(DATASET, golden)
    return client.upload(DATASET, DATA)


def _done(client: TrainerClient) -> pb.GoldenDataset:
    """The dataset, once it is checked."""
    deadline = time.monotonic() + 60
    while (dataset := client.dataset(DATASET)).state == pb.GOLDEN_DATASET_STATE_VALIDATING:
        assert time.monotonic() < deadline, "is still being labelled"
        time.sleep(0.05)  # there is nothing to wait on: a caller asks now and then, too
    return dataset


class TestLabelling:
    """From the upload to the report."""

    @pytest.mark.parametrize("kind", DESKS)
    def test_ends_in_a_dataset_to_train_on(self, kind: str, tmp_path: Path, tiny_base_folder: Path) -> None:
        """Rows, findings, report and lineage say which outputs are a teacher's, by either kind of teacher."""

        def script(request: Any) -> Reply:  # Any: JSON
            return Reply("Sure!") if request["messages"][-1]["content"] == ASKED[3]["input"] else _right(request)

        with (
            _house(tmp_path, tiny_base_folder, kind=kind, script=script) as (house, desk),
            house.serving() as (_, client),
        ):
            sealed = _seal(client, seed=5)
            dataset = _done(client)
            findings = list(client.findings(DATASET))
            shown = client.preview(DATASET, len(GOLDEN) + 1)

        report, teacher = dataset.report, dataset.lineage.teacher
        assert sealed.state == pb.GOLDEN_DATASET_STATE_VALIDATING
        assert dataset.state == pb.GOLDEN_DATASET_STATE_ACTIVE
        assert len(desk.inputs) == 3 * len(ASKED)
        assert all("Count." in request["messages"][0]["content"] for request in desk.requests)
        assert (report.row_count, report.invalid_count) == (32, 0)
        assert (report.synthetic.unlabelled_count, report.synthetic.synthetic_count) == (16, 15)
        assert report.synthetic.dropped_counts == {"TEACHER_BROKE_CONTRACT": 1}
        assert [f.row_number for f in findings if f.reason == "TEACHER_BROKE_CONTRACT"] == [len(GOLDEN) + 4]
        assert (teacher.teacher, teacher.kind, list(teacher.models)) == ("large", kind, [_model(desk)])
        assert (teacher.sample_count, teacher.min_agreement, teacher.seed) == (3, 0.6, 5)
        assert teacher.answer_count == 48
        assert teacher.content_digest == sha256_bytes(f"{dataset.digest}\n{teacher.answers_digest}".encode())
        assert shown.split == example_preview_pb2.EXAMPLE_SPLIT_TRAIN
        rows = _train_rows(house)
        assert {row.input: row.output for row in rows if row.synthetic} == {
            row["input"]: f'{{"n":{n}}}' for n, row in enumerate(ASKED) if n != 3
        }
        assert all(not row.synthetic for row in rows if row.input.startswith("how tall"))

    def test_stands_in_the_report_of_the_command_line(self, tmp_path: Path, tiny_base_folder: Path) -> None:
        """For people and for machines."""
        with _house(tmp_path, tiny_base_folder) as (house, _), house.serving() as (process, client):
            _seal(client)
            _done(client)
            address = ["--address", str(process.ready["address"])]
            human, machine = (
                CliRunner().invoke(app, ["dataset", "report", DATASET, *address, *flags]) for flags in ([], ["--json"])
            )

        assert "16 of 16 rows without an output; left out: none" in " ".join(human.output.split())
        assert "large (openai: large-1)" in human.output
        document = json.loads(machine.output)
        assert document["synthetic"] == {"unlabelled_count": 16, "synthetic_count": 16, "dropped_counts": {}}
        assert document["teacher"]["answer_count"] == 48

    def test_goes_on_where_a_killed_service_was(self, tmp_path: Path, tiny_base_folder: Path) -> None:
        """What came before is not asked for again; only what was under way is."""
        before = 20

        def until_silent(request: Any) -> Reply:  # Any: JSON
            return _right(request) if len(desk.requests) <= before else SILENCE

        with _house(tmp_path, tiny_base_folder, script=until_silent) as (house, desk):
            with house.serving() as (process, client):
                _seal(client)
                while len(desk.requests) < before + 2:  # both that it asks at a time hang
                    time.sleep(0.02)
                process.kill()
            desk.script = _right
            desk.released.set()
            with house.serving() as (_, client):
                dataset = _done(client)

        assert dataset.state == pb.GOLDEN_DATASET_STATE_ACTIVE
        assert dataset.report.synthetic.synthetic_count == 16
        asked = [(request["messages"][-1]["content"], request["seed"]) for request in desk.requests]
        assert len(asked) == 48 + 2
        assert len(set(asked)) == 48

    def test_waits_for_a_busy_teacher(self, tmp_path: Path, tiny_base_folder: Path) -> None:
        """As long as it wants."""
        replies = [BUSY, Reply(status=503, headers=(("Retry-After", "0"),)), BUSY]

        def script(request: Any) -> Reply:  # Any: JSON
            return replies.pop() if replies else _right(request)

        with _house(tmp_path, tiny_base_folder, script=script) as (house, desk), house.serving() as (_, client):
            _seal(client)
            dataset = _done(client)

        assert dataset.report.synthetic.synthetic_count == 16
        assert len(desk.requests) == 48 + 3

    def test_fails_clearly_where_the_teacher_refuses(self, tmp_path: Path, tiny_base_folder: Path) -> None:
        """The tenant learns that much; the operator's log has the status."""
        with _house(tmp_path, tiny_base_folder, script=lambda _: REFUSAL) as (house, _), house.serving() as (_, client):
            _seal(client)
            dataset = _done(client)
            (found,) = client.findings(DATASET)

        assert dataset.state == pb.GOLDEN_DATASET_STATE_FAILED
        assert (found.reason, found.severity) == ("TEACHER_REFUSED", pb.FINDING_SEVERITY_ERROR)
        assert not any(text in found.message for text in ("401", "127.0.0.1", "large-1"))
        assert "HTTP 401" in house.log.read_text()

    def test_a_teacher_of_another_tenant_is_like_none(self, tmp_path: Path, tiny_base_folder: Path) -> None:
        """Word for word."""
        with _house(tmp_path, tiny_base_folder) as (house, _), house.serving() as (_, client):
            told = []
            for name in ("theirs", "nobody"):
                with pytest.raises(NotFound) as caught:
                    _seal(client, name)
                told.append(str(caught.value).replace(name, "NAME"))

        assert told[0] == told[1]

    def test_a_file_that_is_wrong_stops_the_start(self, tmp_path: Path, tiny_base_folder: Path) -> None:
        """With what is wrong."""
        with _house(tmp_path, tiny_base_folder) as (house, _):
            (tmp_path / "teachers.toml").write_text(f'[teachers.large]\nkind = "openai"\napi_key = "{SECRET}"\n')

            with pytest.raises(RuntimeError, match="ended with status"), house.serving():
                pass

        assert "teachers.large.url: Field required" in house.log.read_text()
        assert SECRET not in house.log.read_text()


def _train_rows(house: House) -> list[Any]:  # Any: rows
    """Rows to train on, as the blobs of the service hold them."""
    blobs = [path.read_bytes() for path in (house.folder / "data" / "blobs").iterdir()]
    return [row for data in blobs if data.startswith(b'{"row": ') and b'"synthetic"' in data for row in load_rows(data)]
