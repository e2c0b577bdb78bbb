"""Golden datasets: from the first byte to the report."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from shared.clock import Clock
from shared.contracts.spec import ContractSpec
from shared.errors import Exhausted, NotFound, StateConflict
from shared.names import ContractName, DatasetName, TenantName, invalid_field
from shared.rpc.page import Page
from shared.storage.base import BlobStore
from trainer_svc.app.dataset_outcome import finish
from trainer_svc.app.dataset_request import check_wanted, payload_digest
from trainer_svc.app.labelling import NO_TEACHERS, Labeller, check_examples
from trainer_svc.app.observer import UNOBSERVED, Observer
from trainer_svc.app.upload import Uploads
from trainer_svc.curation.check import check
from trainer_svc.curation.compiled_example import ExampleCompiler
from trainer_svc.curation.labelled import UNLABELLED, Labels
from trainer_svc.curation.personal.base import PersonalDataFinder
from trainer_svc.curation.personal.finder import PATTERNS
from trainer_svc.curation.preview import Preview, preview_row
from trainer_svc.curation.reader.upload import read_upload
from trainer_svc.curation.token_gauge import TokenGauge
from trainer_svc.domain.dataset import UNFINISHED, Dataset, DatasetState, Finding, InvalidRowPolicy
from trainer_svc.domain.finding_kind import ALL_FINDINGS, FindingFilter
from trainer_svc.store import catalog
from trainer_svc.store.database import Database

_log = logging.getLogger(__name__)

MAX_CHUNK_BYTES = 1 << 20
_SHOWN_REFUSALS = 3
MAX_UNFINISHED = 64
"""Of a tenant: with 64 MiB each and as much of a teacher's answers, the 8 GiB of disk that uploads can take."""

_CHECKS_AT_ONCE = 2
"""An upload of 64 MiB took 400 MB and a minute of a core (2,233 long inputs, 2026-11-22); others wait."""


@dataclass(frozen=True)
class _Check:
    """One that runs, and the dataset as it was sealed."""

    dataset: Dataset
    task: asyncio.Task[Dataset]


class Datasets:
    """Creates, fills, seals and finds golden datasets."""

    def __init__(  # noqa: PLR0913  # what it works with, by name
        self,
        database: Database,
        uploads: Uploads,
        blobs: BlobStore,
        clock: Clock,
        *,
        compiler: ExampleCompiler,
        labeller: Labeller | None = None,
        finder: PersonalDataFinder = PATTERNS,
        observer: Observer = UNOBSERVED,
        max_unfinished: int = MAX_UNFINISHED,
    ) -> None:
        self._database, self._uploads, self._blobs, self._clock = database, uploads, blobs, clock
        self._compiler, self._finder = compiler, finder
        self._labeller = labeller or Labeller(database, uploads, blobs, NO_TEACHERS)
        self._observer, self._max_unfinished = observer, max_unfinished
        self._previewing = asyncio.Semaphore(1)
        self._locks: defaultdict[DatasetName, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._checks: dict[DatasetName, _Check] = {}
        self._places = asyncio.Semaphore(_CHECKS_AT_ONCE)

    async def create(self, dataset: Dataset, request_id: str) -> Dataset:
        """Starts an upload.

        Raises:
            NotFound: the contract does not exist, or the teacher or the dataset of its examples.
            AlreadyExists: the id is taken.
            Exhausted: QUOTA_EXCEEDED, the tenant has too many that are not sealed.
        """
        name, contract = DatasetName.parse(dataset.name), ContractName.parse(dataset.contract, "dataset.contract")
        check_wanted(name, contract, dataset)
        payload = payload_digest(dataset)

        def work(connection: Connection) -> Dataset:
            is_repeated = catalog.repeated(connection, name.tenant, "CreateGoldenDataset", request_id, payload)
            if is_repeated and (stored := catalog.find_dataset(connection, name)):
                return stored  # else it was removed, unfinished, and begins anew
            catalog.get_contract(connection, contract)
            if dataset.teacher is not None:
                self._labeller.check_teacher(name, dataset.teacher)
            check_examples(connection, dataset)
            most = self._max_unfinished
            if len(catalog.unfinished_datasets(connection, name.tenant, most)) == most:
                raise Exhausted(
                    "QUOTA_EXCEEDED",
                    f"{name.parent} has {most} datasets that are not sealed",
                    hint="seal them, or wait until those without a new byte are removed",
                )
            catalog.add_dataset(connection, dataset)
            return dataset

        return await self._database.run(work)

    async def upload(self, name: DatasetName, offset: int, data: bytes) -> int:
        """Stores a chunk; returns the next offset. Raises as `Uploads.write`, and `StateConflict` once sealed."""
        if not 0 < len(data) <= MAX_CHUNK_BYTES:
            raise invalid_field("data", f"must have 1 to {MAX_CHUNK_BYTES} bytes, has {len(data)}")
        await self.get(name)  # before a lock is made for it: names that do not exist must not fill the memory
        # Shielded: a caller that hangs up must not open the lock while a thread still writes.
        return await asyncio.shield(asyncio.create_task(self._write(name, offset, data)))

    async def _write(self, name: DatasetName, offset: int, data: bytes) -> int:
        async with self._locks[name]:
            dataset = await self._database.run(lambda c: catalog.get_dataset(c, name))
            if dataset.state is not DatasetState.IMPORTING:
                raise StateConflict("STATE_CONFLICT", f"{name} is sealed", metadata={"state": dataset.state.value})
            return await asyncio.to_thread(self._uploads.write, name, offset, data)

    async def seal(self, name: DatasetName, size: int, digest: str, policy: InvalidRowPolicy) -> Dataset:
        """Closes the upload and checks every row; idempotent, also after a crash in the middle of the check.

        A check goes on when its caller is gone; who asks again waits for the same one. Nobody waits for a teacher,
        which may take hours: the dataset comes back VALIDATING.

        Raises:
            StateConflict: DIGEST_DIFFERS when the stored bytes are not those the caller sent.
        """
        await self.get(name)  # as in upload
        async with self._locks[name]:
            running = self._checks.get(name)
            if running is None:
                dataset = await self.get(name)
                if dataset.state in (DatasetState.ACTIVE, DatasetState.FAILED):
                    _compare(dataset, size, digest)
                    return dataset
                running = await self._start_check(name, dataset, policy, size, digest)
            else:
                _compare(running.dataset, size, digest)
        return running.dataset if running.dataset.teacher is not None else await asyncio.shield(running.task)

    async def _start_check(
        self, name: DatasetName, dataset: Dataset, policy: InvalidRowPolicy, size: int, digest: str
    ) -> _Check:
        stored = await asyncio.to_thread(self._uploads.digest, name)
        sealed = dataclasses.replace(dataset, policy=policy, size_bytes=self._uploads.size(name), digest=stored)
        _compare(sealed, size, digest)
        sealed = dataclasses.replace(sealed, state=DatasetState.VALIDATING)
        await self._save(sealed)
        return self._begin(name, sealed)

    def _begin(self, name: DatasetName, sealed: Dataset) -> _Check:
        running = _Check(sealed, asyncio.create_task(self._check(name, sealed)))
        self._checks[name] = running
        running.task.add_done_callback(lambda task: self._end(name, task))
        return running

    def _end(self, name: DatasetName, task: asyncio.Task[Dataset]) -> None:
        del self._checks[name]
        error = None if task.cancelled() else task.exception()
        if error is not None:  # its callers are told, if there are any
            _log.error("a dataset could not be checked", exc_info=error, extra={"dataset": str(name)})

    async def take_up(self) -> None:
        """Begins the checks again that did not end: of an earlier process, or by an error that may have passed.

        Jobs may wait for them, and callers be gone.
        """
        for name in await self.unfinished():
            async with self._locks[name]:
                dataset = await self._database.run(lambda c: catalog.find_dataset(c, name))  # noqa: B023  # run at once
                if dataset is not None and dataset.state is DatasetState.VALIDATING and name not in self._checks:
                    self._begin(name, dataset)

    async def _check(self, name: DatasetName, sealed: Dataset) -> Dataset:
        contract = await self._database.run(lambda c: catalog.get_contract(c, ContractName.parse(sealed.contract)))
        spec = ContractSpec.from_canonical(contract.spec.encode())
        labels = UNLABELLED if sealed.teacher is None else await self._labeller.label(name, sealed, spec)
        async with self._places:
            finished, findings = await asyncio.to_thread(self._read, name, sealed, spec, labels)
        await self._save(finished, findings)
        await asyncio.to_thread(self._uploads.remove, name)  # what it holds is stored by digest, or of no use
        self._observer.dataset_checked(finished)
        return finished

    def _read(
        self, name: DatasetName, sealed: Dataset, spec: ContractSpec, labels: Labels
    ) -> tuple[Dataset, Sequence[Finding]]:
        rows = read_upload(self._uploads.path(name), sealed.format, self._uploads.scratch)
        if sealed.teacher is not None:
            rows = labels.applied(rows, sealed.format, spec)
            sealed = dataclasses.replace(sealed, labelling=labels.labelling)
        gauge = TokenGauge(self._compiler, sealed.instruction_prompt)
        checked = check(rows, spec, sealed.policy, sealed.split_seed, gauge=gauge, finder=self._finder)
        return finish(self._blobs, sealed, checked), checked.findings

    async def forget(self, name: DatasetName, before: datetime) -> bool:
        """Removes a dataset that is unfinished and got no byte since `before`, and the bytes left of a finished one.

        Whether a dataset was removed.
        """
        async with self._locks[name]:
            dataset = await self._database.run(lambda c: catalog.find_dataset(c, name))
            is_unfinished = dataset is not None and dataset.state in UNFINISHED
            if dataset is not None and is_unfinished:
                last = self._uploads.last_write(name) or dataset.create_time
                is_labelled = dataset.teacher is not None and dataset.state is DatasetState.VALIDATING
                if name in self._checks or last >= before or is_labelled:  # its answers are paid for: see take_up
                    return False
                await self._database.run(lambda c: catalog.remove_dataset(c, name))
            await asyncio.to_thread(self._uploads.remove, name)
            return is_unfinished

    async def get(self, name: DatasetName) -> Dataset:
        """A dataset, with the bytes stored so far. Raises `NotFound`."""
        dataset = await self._database.run(lambda c: catalog.get_dataset(c, name))
        if dataset.state is DatasetState.IMPORTING:
            return dataclasses.replace(dataset, size_bytes=self._uploads.size(name))
        return dataset

    async def unfinished(self) -> list[DatasetName]:
        """Datasets of all tenants that are not checked to the end."""
        return await self._database.run(catalog.unfinished_datasets)

    async def page(self, parent: TenantName, page: Page) -> tuple[list[Dataset], str]:
        """One page by name."""
        return await self._database.run(lambda c: catalog.list_datasets(c, parent.tenant, page))

    async def findings(
        self, name: DatasetName, page: Page, wanted: FindingFilter = ALL_FINDINGS
    ) -> tuple[list[Finding], str]:
        """One page of the findings that are wanted, by row."""

        def work(connection: Connection) -> tuple[list[Finding], str]:
            catalog.get_dataset(connection, name)
            return catalog.list_findings(connection, name, page, wanted)

        return await self._database.run(work)

    async def preview(self, name: DatasetName, number: int) -> Preview:
        """A row as it is trained on, token by token.

        Raises:
            NotFound: the dataset or the row does not exist, or the row was refused: why is said.
            StateConflict: the dataset is not active, or the row is larger than a row may be.
        """
        if number < 1:
            raise invalid_field("row_number", f"must be 1 or more, got {number}")
        dataset = await self._database.run(lambda c: catalog.get_dataset(c, name))
        if dataset.state is not DatasetState.ACTIVE:
            raise StateConflict(
                "STATE_CONFLICT",
                f"{name} is {dataset.state}, only rows of an active dataset can be shown",
                hint="seal it, and mend the rows that ListDatasetFindings names",
                metadata={"state": dataset.state.value},
            )
        # Shielded: a caller that hangs up must not open the place while a thread still reads.
        preview = await asyncio.shield(asyncio.create_task(self._preview(dataset, number)))
        if preview is None:
            refusals = await self._database.run(lambda c: catalog.list_row_findings(c, name, number))
            raise _absent_row(name, number, [found for found in refusals if found.blocking])
        return preview

    async def _preview(self, dataset: Dataset, number: int) -> Preview | None:
        async with self._previewing:  # stored rows may take 64 MiB each time
            return await asyncio.to_thread(preview_row, self._blobs, dataset, number, self._compiler)

    async def _save(self, dataset: Dataset, found: Sequence[Finding] | None = None) -> None:
        await self._database.run(lambda c: catalog.save_dataset(c, dataset, found))


def _absent_row(name: DatasetName, number: int, refusals: Sequence[Finding]) -> NotFound:
    why = "; ".join(f"{found.reason} {found.path}: {found.message}" for found in refusals[:_SHOWN_REFUSALS])
    message = f"row {number} of {name} was refused: {why}" if why else f"{name} has no row {number}"
    hint = "rows are counted as lines of the upload, from 1; those of a curated dataset keep the source's numbers"
    return NotFound("RESOURCE_NOT_FOUND", message, hint=hint)


def _compare(dataset: Dataset, size: int, digest: str) -> None:
    if (dataset.size_bytes, dataset.digest) != (size, digest):
        raise StateConflict(
            "DIGEST_DIFFERS",
            f"{dataset.name} holds {dataset.size_bytes} bytes with {dataset.digest}, "
            f"the caller says {size} with {digest[:80]}",
            hint="upload the missing bytes, or start a new dataset",
            metadata={"size_bytes": str(dataset.size_bytes), "digest": dataset.digest},
        )
