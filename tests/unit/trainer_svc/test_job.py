"""Jobs: their states, their history, and their one publication."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.adapter.canary import CanarySplit
from shared.adapter.manifest import AdapterManifest
from shared.adapter.package import CONFIG_NAME, SIGNATURE_NAME, WEIGHTS_NAME, write_package
from shared.adapter.signature import Signer, check_signature
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import StateConflict
from shared.names import AdapterName, AliasName, JobName, RevisionName
from shared.rpc.page import Page
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from tests.operator_key import OperatorKey
from tests.unit.trainer_svc.evaluation_sample import write_evaluation
from trainer_svc.app.journal_reader import ingest
from trainer_svc.app.live_comparison import StoredAnswers
from trainer_svc.app.promotion_gate import PromotionGate
from trainer_svc.app.publisher import Publisher
from trainer_svc.domain.job import MOVES, Job, JobSpec, JobState
from trainer_svc.domain.registry import Revision
from trainer_svc.domain.run import Phase, RunFolder
from trainer_svc.domain.run_result import Evaluation, RunResult
from trainer_svc.store import history, shelf
from trainer_svc.store.database import Database

PROTO = Path(__file__).parents[3] / "protos/goldsmith/trainer/v1/training_job.proto"
NAME = JobName("acme", "first")
LIVE = AliasName("acme", "a", "live")
Transact = Callable[[Callable[..., Any]], Any]


@pytest.fixture
def job(transact: Transact, clock: ManualClock) -> Job:
    """A running job in the database."""
    queued = Job(str(NAME), "tenants/acme/datasets/d", "tenants/acme/adapters/a", "live", JobSpec(), clock.now())
    running = dataclasses.replace(queued, state=JobState.QUEUED).move(JobState.RUNNING, clock.now(), attempt=1)

    def work(connection: Any) -> None:
        history.add_job(connection, queued)
        history.save_job(connection, running)

    transact(work)
    return running


def _stored(transact: Transact) -> Job:
    return transact(lambda c: history.get_job(c, NAME))


class TestMoves:
    """The table of states."""

    def test_is_the_one_in_the_contract(self) -> None:
        """The comment of TrainingJobState, which clients read, says the same."""
        comment = PROTO.read_text().split("// Allowed moves:")[1].split("enum TrainingJobState")[0]
        text = re.sub(r"\([^)]*\)|//|\n", " ", comment)
        said: dict[str, set[str]] = {}
        for clause in text.split("The last three")[0].rstrip(" .").split(";"):
            before, after = clause.split("->")
            said[before.strip()] = {state.strip() for state in after.split("|")}

        assert said == {s.name: {m.name for m in moves} for s, moves in MOVES.items() if moves}

    def test_anything_else_is_refused(self, job: Job, clock: ManualClock) -> None:
        """A job that ended stays ended."""
        done = job.move(JobState.SUCCEEDED, clock.now())

        with pytest.raises(StateConflict):
            done.move(JobState.RUNNING, clock.now())
        assert done.end_time == clock.now()
        assert done.phase is None


class TestJournal:
    """From the child's journal into the history."""

    def _write(self, path: Path, *events: dict[str, object], torn: bytes = b"") -> None:
        with path.open("ab") as file:
            file.write(b"".join(json.dumps(event).encode() + b"\n" for event in events) + torn)

    def test_each_line_enters_once(self, transact: Transact, job: Job, clock: ManualClock, tmp_path: Path) -> None:
        """Reading again, after a restart too, adds nothing; sequence numbers have no gap."""
        journal = tmp_path / "events.jsonl"
        self._write(journal, {"type": "phase", "phase": "training"})
        progress = {"type": "progress", "step": 1, "step_count": 9, "train_loss": 0.5, "epoch": 0.1}
        read = lambda c: ingest(c, NAME, journal, clock.now())  # noqa: E731

        assert [transact(read), transact(read)] == [True, False]
        self._write(journal, progress, {"type": "checkpoint", "step": 1}, torn=b'{"type":"prog')
        assert transact(read)
        self._write(journal, torn=b"\n")
        self._write(journal, progress)
        assert transact(read)

        events = transact(lambda c: history.events_after(c, NAME, 0))
        assert [event.sequence for event in events] == [1, 2, 3, 4, 5]
        assert [event.checkpoint_step for event in events] == [None, None, None, 1, None]
        assert _stored(transact).phase is Phase.TRAINING
        assert _stored(transact).progress.step == 1

    def test_validations_enter_the_progress(
        self, transact: Transact, job: Job, clock: ManualClock, tmp_path: Path
    ) -> None:
        """And the patience that the plan settled on enters the settings."""
        settings = {"type": "settings", "early_stopping_patience": 3, "validation_row_count": 16}
        progress = {"type": "progress", "step": 4, "step_count": 9, "train_loss": 0.5, "epoch": 0.1}
        validated = {**progress, "validation_score": 0.25, "best_step": 2}
        self._write(tmp_path / "events.jsonl", settings, progress, validated)

        transact(lambda c: ingest(c, NAME, tmp_path / "events.jsonl", clock.now()))

        stored = _stored(transact)
        assert stored.spec.early_stopping_patience == 3
        assert (stored.progress.validation_score, stored.progress.best_step) == (0.25, 2)

    def test_a_checkpoint_forgives_earlier_deaths(
        self, transact: Transact, job: Job, clock: ManualClock, tmp_path: Path
    ) -> None:
        """Only attempts without progress count towards giving up."""
        transact(lambda c: history.save_job(c, dataclasses.replace(job, stalled_attempts=2)))
        self._write(tmp_path / "events.jsonl", {"type": "checkpoint", "step": 1})

        transact(lambda c: ingest(c, NAME, tmp_path / "events.jsonl", clock.now()))

        assert _stored(transact).stalled_attempts == 0


class TestPublisher:
    """Publication of a finished run."""

    def test_happens_once_however_often_it_is_tried(
        self, database: Database, transact: Transact, job: Job, clock: ManualClock, tmp_path: Path
    ) -> None:
        """Revision, alias and the job's end are one transaction; trying again publishes nothing more."""
        folder = _finished_run(tmp_path)
        publisher = _publisher(database, tmp_path, clock)

        asyncio.run(publisher.publish(str(NAME), folder))
        with pytest.raises(StateConflict):
            asyncio.run(publisher.publish(str(NAME), folder))

        adapter = AdapterName("acme", "a")
        revisions, _ = transact(lambda c: shelf.list_revisions(c, adapter, Page(10, "")))
        assert [revision.name for revision in revisions] == ["tenants/acme/adapters/a/revisions/1"]
        assert [change.alias.revision for change in transact(shelf.all_aliases)] == [revisions[0].name]
        assert _stored(transact).state is JobState.SUCCEEDED
        assert _stored(transact).revision == revisions[0].name

    def test_signs_where_the_operator_has_a_key(
        self, database: Database, transact: Transact, job: Job, clock: ManualClock, tmp_path: Path
    ) -> None:
        """The signature is a file of the revision, whatever lies in the worker's folder under its name."""
        operator, folder, blobs = OperatorKey(1), _finished_run(tmp_path), LocalBlobStore(tmp_path / "blobs")
        (folder.package / SIGNATURE_NAME).write_bytes(b"a worker's own")

        publisher = _publisher(database, tmp_path, clock, operator.signer)
        asyncio.run(publisher.publish(str(NAME), folder))

        (revision,), _ = transact(lambda c: shelf.list_revisions(c, AdapterName("acme", "a"), Page(10, "")))
        files = {file.filename: file for file in revision.files}
        assert list(files) == ["manifest.json", WEIGHTS_NAME, CONFIG_NAME, SIGNATURE_NAME]
        signature = b"".join(blobs.chunks(files[SIGNATURE_NAME].digest, 0, 1 << 20))
        assert check_signature(revision.digest, signature, operator.trusted) == operator.signer.key_id
        assert files[SIGNATURE_NAME].size_bytes == len(signature)

    def test_ends_the_trial_of_the_alias_and_says_so(
        self, database: Database, transact: Transact, job: Job, clock: ManualClock, tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        """As who sets an alias without a canary: in the job and its history, in the log, and in the audit log."""
        live, canary = (_published(transact, clock) for _ in "12")
        transact(lambda c: shelf.set_alias(c, LIVE, live, "", clock.now(), canary=CanarySplit(canary, 5)))

        with caplog.at_level(logging.INFO):
            _publish(database, clock, tmp_path)

        alias = transact(lambda c: shelf.find_alias(c, LIVE))
        assert (alias.revision, alias.canary) == (_stored(transact).revision, None)
        assert _stored(transact).ended_canary == str(canary)
        last = transact(lambda c: history.events_after(c, NAME, 0))[-1].changed
        assert (last.state, last.ended_canary) == (JobState.SUCCEEDED, str(canary))
        told = {line.name: vars(line) for line in caplog.records}
        ended = told["trainer_svc.app.publisher"]
        assert (ended["alias"], ended["canary"], ended["job"]) == (str(LIVE), str(canary), str(NAME))
        audited = told["goldsmith.audit"]
        assert (audited["resource"], audited["job"], audited["outcome"]) == (str(LIVE), str(NAME), "OK")

    def test_of_no_alias_leaves_a_trial_alone(
        self, database: Database, transact: Transact, job: Job, clock: ManualClock, tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        """Whoever publishes without moving an alias changes nothing of what is served."""
        live, canary = (_published(transact, clock) for _ in "12")
        before = transact(lambda c: shelf.set_alias(c, LIVE, live, "", clock.now(), canary=CanarySplit(canary, 5)))
        transact(lambda c: history.save_job(c, dataclasses.replace(job, alias_id="-")))

        with caplog.at_level(logging.INFO):
            _publish(database, clock, tmp_path)

        assert transact(lambda c: shelf.find_alias(c, LIVE)) == before
        assert (_stored(transact).state, _stored(transact).ended_canary) == (JobState.SUCCEEDED, "")
        assert caplog.records == []

    @pytest.mark.parametrize("is_new", [True, False], ids=["new alias", "alias of before"])
    def test_ends_no_trial_where_none_was(
        self, database: Database, transact: Transact, job: Job, clock: ManualClock, tmp_path: Path, *, is_new: bool
    ) -> None:  # fmt: skip
        """The field is empty, then."""
        if not is_new:
            live = _published(transact, clock)
            transact(lambda c: shelf.set_alias(c, LIVE, live, "", clock.now()))

        _publish(database, clock, tmp_path)

        assert (_stored(transact).state, _stored(transact).ended_canary) == (JobState.SUCCEEDED, "")


def _publish(database: Database, clock: ManualClock, folder: Path) -> None:
    """The job of these tests, whose run is finished."""
    asyncio.run(_publisher(database, folder, clock).publish(str(NAME), _finished_run(folder)))


def _published(transact: Transact, clock: ManualClock) -> RevisionName:
    """A revision of before."""
    revision = Revision("", "sha256:" + "0" * 64, (), "tenants/acme/jobs/j", "", "", clock.now())
    return RevisionName.parse(transact(lambda c: shelf.add_revision(c, LIVE.adapter_name, revision)).name)


def _publisher(database: Database, folder: Path, clock: ManualClock, signer: Signer | None = None) -> Publisher:
    blobs = LocalBlobStore(folder / "blobs")
    return Publisher(database, blobs, clock, PromotionGate(StoredAnswers(blobs)), signer)


def _finished_run(folder: Path) -> RunFolder:
    run = RunFolder(folder / "run")
    for name in ("weights", "config"):
        (folder / name).write_bytes(name.encode())
    manifest = AdapterManifest(
        base_model_id="tiny",
        base_model_digest="sha256:" + "0" * 64,
        prompt_digest="sha256:" + "0" * 64,
        contract_name="tenants/acme/contracts/answer",
        contract=ContractSpec(ContractKind.JSON, json_schema='{"type":"boolean"}'),
        rank=4,
        alpha=8.0,
        target_modules=("q_proj",),
        dataset_digest="sha256:" + "0" * 64,
        canaries=(),
    )
    sources = {WEIGHTS_NAME: folder / "weights", CONFIG_NAME: folder / "config"}
    written = write_package(run.package, manifest, sources)
    write_evaluation(run)
    run.result.write_bytes(RunResult(written.digest, Evaluation(5, 0.5, 0.6, None, 100.0, 10.0, 0.1)).to_json())
    return run
