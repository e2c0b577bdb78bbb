"""The trainer's handlers behind the access check, without a network; two tenants own one of everything each."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from contextlib import aclosing
from dataclasses import astuple, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

from google.protobuf.message import Message
from sqlalchemy import Connection, select

from shared.adapter.manifest import PackageFile
from shared.base_model import BaseModel
from shared.changes import Changes
from shared.contracts.report import CompileReport, EngineName, Guarantee
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import InvalidInput
from shared.names import AdapterName, AliasName, DatasetName, RevisionName
from shared.prompt import PromptRenderer
from shared.rpc.access.check import authorise
from shared.rpc.access.table import RULES
from shared.rpc.identity import Identity
from shared.rpc.identity.caller import act_for
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from shared.usage import UsageCounts
from tests.access.rpcs import Rpc
from tests.unit.trainer_svc.evaluation_sample import evaluation, row
from trainer_svc.app.contracts import Contracts
from trainer_svc.app.curator import Curator
from trainer_svc.app.datasets import Datasets
from trainer_svc.app.economics import Economics, Prices
from trainer_svc.app.estimates import Estimates
from trainer_svc.app.evaluations import Evaluations
from trainer_svc.app.jobs import Jobs
from trainer_svc.app.live_comparison import StoredAnswers
from trainer_svc.app.preferences import PreferenceStudies
from trainer_svc.app.promotion_gate import PromotionGate
from trainer_svc.app.promotions import Promotions
from trainer_svc.app.registry import RegistryReader
from trainer_svc.app.upload import Uploads
from trainer_svc.curation.compiled_example import ExampleCompiler
from trainer_svc.curation.row_file import dump_rows
from trainer_svc.domain.dataset import CheckedRow, Dataset, DatasetState, Finding
from trainer_svc.domain.estimate import Price
from trainer_svc.domain.job import Job, JobSpec
from trainer_svc.domain.registry import Contract, Revision
from trainer_svc.domain.savings import TokenPrices
from trainer_svc.domain.usage_ledger import ReportedUsage
from trainer_svc.service.contract import ContractServicer
from trainer_svc.service.dataset import DatasetServicer
from trainer_svc.service.economics import EconomicsServicer
from trainer_svc.service.evaluation import EvaluationServicer
from trainer_svc.service.preference import PreferenceServicer
from trainer_svc.service.promotion import PromotionServicer
from trainer_svc.service.registry import RegistryServicer
from trainer_svc.service.training import TrainingServicer
from trainer_svc.store import catalog, history, shelf, usage_ledger
from trainer_svc.store.codec import dump
from trainer_svc.store.database import Database
from trainer_svc.store.table import metadata
from trainer_svc.teacher.book import TeacherBook

MARKS = {"acme": "mark-kd83", "globex": "mark-zq71"}
"""In everything that a tenant owns, and in nothing that a target writes."""
_MAX_RESPONSES = 8
_BASE = Path(__file__).parents[2] / "deploy" / "base_model" / "weights"
_ZERO = "sha256:" + "0" * 64


@dataclass
class Room:
    """What callers of `tests.fuzz` reach."""

    folder: Path

    def __post_init__(self) -> None:
        clock, changes = ManualClock(), Changes()
        changes.close()  # a watch tells what there is and ends
        self.database = Database(f"sqlite:///{self.folder}/trainer.db")
        self.database.migrate()
        self.blobs, self.uploads = LocalBlobStore(self.folder / "blobs"), Uploads(self.folder / "uploads")
        base = BaseModel.load(_BASE)
        examples = ExampleCompiler(PromptRenderer.load(base), base.max_positions)
        # So many are created here that the limit would be all that is ever answered.
        datasets = Datasets(self.database, self.uploads, self.blobs, clock, compiler=examples, max_unfinished=1_000_000)
        curator = Curator(self.database, self.blobs, clock, compiler=examples)
        estimates = Estimates(self.database, base, threads=1, price=Price(), calibrator=None)
        compiler = SimpleNamespace(compile=_refuse_to_compile)  # compiling has tests of its own, and takes seconds
        gate = PromotionGate(StoredAnswers(self.blobs))
        economics = Economics(self.database, clock, Prices(TokenPrices(), None, ""), TeacherBook.open(None))
        self._servicers = {
            "EconomicsService": EconomicsServicer(economics),
            "EvaluationService": EvaluationServicer(Evaluations(self.database, self.blobs)),
            "PreferenceService": PreferenceServicer(PreferenceStudies(self.database, self.blobs, clock), clock),
            "ContractService": ContractServicer(Contracts(self.database, compiler, clock)),  # type: ignore[arg-type]
            "DatasetService": DatasetServicer(datasets, curator, clock),
            "TrainingService": TrainingServicer(Jobs(self.database, changes, clock), estimates, clock),
            "RegistryService": RegistryServicer(RegistryReader(self.database, self.blobs, changes, clock, gate)),
            "PromotionService": PromotionServicer(Promotions(self.database, changes, clock, gate)),
        }
        self._loop = asyncio.new_event_loop()
        for tenant, mark in MARKS.items():
            self.run(lambda connection, tenant=tenant, mark=mark: self._furnish(connection, tenant, mark))
            self.uploads.write(DatasetName(tenant, "open"), 0, mark.encode())

    def run(self, work: object) -> object:
        """A transaction."""
        return self._loop.run_until_complete(self.database.run(work))  # type: ignore[arg-type]

    def call(self, rpc: Rpc, identity: Identity, request: Message) -> list[Message]:
        """Responses, the first few of a stream, as a caller would get them. Raises what the service would."""
        authorise(RULES[rpc.path], identity, request)
        act_for(identity)
        servicer = self._servicers[rpc.descriptor.containing_service.name]
        return self._loop.run_until_complete(_responses(rpc, getattr(servicer, rpc.descriptor.name), request))

    def state(self, tenant: str) -> str:
        """Digest of all that a tenant owns."""
        digest = hashlib.sha256(self.uploads.path(DatasetName(tenant, "open")).read_bytes())

        def work(connection: Connection) -> None:
            for table in metadata.sorted_tables:
                if "tenant" in table.c:
                    rows = connection.execute(select(table).where(table.c.tenant == tenant)).all()
                    digest.update(repr(sorted(map(repr, rows))).encode())

        self.run(work)
        return digest.hexdigest()

    def _furnish(self, connection: Connection, tenant: str, mark: str) -> None:
        own, now = f"tenants/{tenant}", ManualClock().now()
        spec = ContractSpec(ContractKind.CHOICE, choices=(mark,))
        report = CompileReport(Guarantee.CERTAIN, EngineName.OUTLINES, 1, 1, 1, 1, ())
        catalog.add_contract(connection, Contract.of(f"{own}/contracts/answer", spec, report, now))
        rows = self.blobs.put_bytes(dump_rows([CheckedRow(1, mark, mark)]))
        for name, state in (("open", DatasetState.IMPORTING), ("golden", DatasetState.ACTIVE)):
            stored = Dataset(
                f"{own}/datasets/{name}", f"{own}/contracts/answer", mark, "", now, state,
                train_rows=rows, holdout_rows=rows,
            )  # fmt: skip
            catalog.add_dataset(connection, stored)
            catalog.save_dataset(connection, stored, [Finding(row, "X", mark, mark) for row in (1, 2, 3)])
        for name in ("first", "second"):
            spec_of_job = JobSpec(seed=0)
            golden, adapter = f"{own}/datasets/golden", f"{own}/adapters/answer"
            history.add_job(connection, Job(f"{own}/jobs/{name}", golden, adapter, mark, spec_of_job, now))
        answers = self.blobs.put_bytes(b"".join(dump(row(number)).encode() + b"\n" for number in range(1, 8)))
        done = Job(
            f"{own}/jobs/done", f"{own}/datasets/golden", f"{own}/adapters/answer", mark, JobSpec(), now,
            evaluation_digest=self.blobs.put_bytes(dump(evaluation()).encode()), evaluated_rows_digest=answers,
        )  # fmt: skip
        history.add_job(connection, done)
        files = (PackageFile("manifest.json", len(mark), self.blobs.put_bytes(mark.encode())),)
        for _ in "12":
            revision = Revision("", _ZERO, files, f"{own}/jobs/{mark}", f"{own}/contracts/answer", _ZERO, now)
            shelf.add_revision(connection, AdapterName(tenant, "answer"), revision)
        usage = [ReportedUsage(mark, 1, hour, 1, UsageCounts(answered_requests=1)) for hour in (1, 2, 30)]
        usage_ledger.store_usage(connection, tenant, "replica", usage)
        for alias in ("live", mark):
            shelf.set_alias(connection, AliasName(tenant, "answer", alias), RevisionName(tenant, "answer", 1), "", now)


def open_room() -> Room:
    """In the temporary folder of the process, which its parent removes."""
    return Room(Path(tempfile.mkdtemp()))


def _refuse_to_compile(spec: ContractSpec) -> NoReturn:
    raise InvalidInput("CONTRACT_UNSUPPORTED", f"{astuple(spec)[0]} is not compiled here")


async def _responses(rpc: Rpc, behaviour: object, request: Message) -> list[Message]:
    if not rpc.descriptor.server_streaming:
        return [await behaviour(request, None)]  # type: ignore[operator]
    found = []
    async with aclosing(behaviour(request, None)) as responses:  # type: ignore[operator]
        async for response in responses:
            found.append(response)
            if len(found) == _MAX_RESPONSES:
                break
    return found
