"""Golden datasets: from the first byte to the report."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Connection

from shared.clock import Clock
from shared.contracts.spec import ContractSpec
from shared.digest import sha256_bytes
from shared.errors import StateConflict
from shared.names import ContractName, DatasetName, TenantName, invalid_field
from shared.rpc.page import Page
from shared.storage.base import BlobStore
from trainer_svc.app.observer import UNOBSERVED, Observer
from trainer_svc.app.upload import Uploads
from trainer_svc.curation.check import Checked, check_rows
from trainer_svc.curation.personal.base import PersonalDataFinder
from trainer_svc.curation.personal.finder import PATTERNS
from trainer_svc.domain.dataset import CheckedRow, Dataset, DatasetState, Finding, InvalidRowPolicy
from trainer_svc.domain.finding_kind import ALL_FINDINGS, FindingFilter
from trainer_svc.store import catalog
from trainer_svc.store.database import Database

MAX_CHUNK_BYTES = 1 << 20
MAX_INSTRUCTION_BYTES = 64 << 10
MAX_DATABASE_BYTES = 4 << 20


class Datasets:
    """Creates, fills, seals and finds golden datasets."""

    def __init__(
        self,
        database: Database,
        uploads: Uploads,
        blobs: BlobStore,
        clock: Clock,
        *,
        finder: PersonalDataFinder = PATTERNS,
        observer: Observer = UNOBSERVED,
    ) -> None:
        self._database, self._uploads, self._blobs, self._clock = database, uploads, blobs, clock
        self._finder, self._observer = finder, observer
        self._locks: defaultdict[DatasetName, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def create(self, dataset: Dataset, request_id: str) -> Dataset:
        """Starts an upload.

        Raises:
            NotFound: the contract does not exist.
            AlreadyExists: the id is taken.
        """
        name, contract = DatasetName.parse(dataset.name), ContractName.parse(dataset.contract, "dataset.contract")
        if contract.tenant != name.tenant:
            raise invalid_field("dataset.contract", "belongs to another tenant")
        for path, text, limit in (
            ("dataset.instruction_prompt", dataset.instruction_prompt, MAX_INSTRUCTION_BYTES),
            ("dataset.database_sql", dataset.database_sql, MAX_DATABASE_BYTES),
        ):
            if len(text.encode()) > limit:
                raise invalid_field(path, f"has more than {limit} bytes")
        payload = sha256_bytes(
            json.dumps([dataset.name, dataset.contract, dataset.instruction_prompt, dataset.database_sql]).encode()
        )

        def work(connection: Connection) -> Dataset:
            if catalog.repeated(connection, name.tenant, "CreateGoldenDataset", request_id, payload):
                return catalog.get_dataset(connection, name)
            catalog.get_contract(connection, contract)
            catalog.add_dataset(connection, dataset)
            return dataset

        return await self._database.run(work)

    async def upload(self, name: DatasetName, offset: int, data: bytes) -> int:
        """Stores a chunk; returns the next offset. Raises as `Uploads.write`, and `StateConflict` once sealed."""
        if not 0 < len(data) <= MAX_CHUNK_BYTES:
            raise invalid_field("data", f"must have 1 to {MAX_CHUNK_BYTES} bytes, has {len(data)}")
        await self.get(name)  # before a lock is made for it: names that do not exist must not fill the memory
        async with self._locks[name]:
            dataset = await self._database.run(lambda c: catalog.get_dataset(c, name))
            if dataset.state is not DatasetState.IMPORTING:
                raise StateConflict("STATE_CONFLICT", f"{name} is sealed", metadata={"state": dataset.state.value})
            return await asyncio.to_thread(self._uploads.write, name, offset, data)

    async def seal(self, name: DatasetName, size: int, digest: str, policy: InvalidRowPolicy) -> Dataset:
        """Closes the upload and checks every row; idempotent, also after a crash in the middle of the check.

        Raises:
            StateConflict: DIGEST_DIFFERS when the stored bytes are not those the caller sent.
        """
        await self.get(name)  # as in upload
        async with self._locks[name]:
            dataset = await self.get(name)
            if dataset.state in (DatasetState.ACTIVE, DatasetState.FAILED):
                _compare(name, dataset.size_bytes, dataset.digest, size, digest)
                return dataset
            data = await asyncio.to_thread(self._uploads.read, name)
            _compare(name, len(data), sha256_bytes(data), size, digest)
            sealed = dataclasses.replace(
                dataset, state=DatasetState.VALIDATING, policy=policy, size_bytes=size, digest=digest
            )
            await self._save(sealed)
            contract = await self._database.run(lambda c: catalog.get_contract(c, ContractName.parse(dataset.contract)))
            spec = ContractSpec.from_canonical(contract.spec.encode())
            checked = await asyncio.to_thread(check_rows, data, spec, policy, finder=self._finder)
            finished = await asyncio.to_thread(self._finish, sealed, checked)
            await self._save(finished, checked.findings)
            self._observer.dataset_checked(finished)
            return finished

    async def get(self, name: DatasetName) -> Dataset:
        """A dataset, with the bytes stored so far. Raises `NotFound`."""
        dataset = await self._database.run(lambda c: catalog.get_dataset(c, name))
        if dataset.state is DatasetState.IMPORTING:
            return dataclasses.replace(dataset, size_bytes=self._uploads.size(name))
        return dataset

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

    def _finish(self, dataset: Dataset, checked: Checked) -> Dataset:
        if not checked.is_usable:
            return dataclasses.replace(dataset, state=DatasetState.FAILED, report=checked.report)
        return dataclasses.replace(
            dataset,
            state=DatasetState.ACTIVE,
            report=checked.report,
            train_rows=self._blobs.put_bytes(_lines(checked.train)),
            holdout_rows=self._blobs.put_bytes(_lines(checked.holdout)),
        )

    async def _save(self, dataset: Dataset, found: Sequence[Finding] | None = None) -> None:
        await self._database.run(lambda c: catalog.save_dataset(c, dataset, found))


def _compare(name: DatasetName, stored: int, stored_digest: str, size: int, digest: str) -> None:
    if (stored, stored_digest) != (size, digest):
        raise StateConflict(
            "DIGEST_DIFFERS",
            f"{name} holds {stored} bytes with {stored_digest}, the caller says {size} with {digest[:80]}",
            hint="upload the missing bytes, or start a new dataset",
            metadata={"size_bytes": str(stored), "digest": stored_digest},
        )


def _lines(rows: Sequence[CheckedRow]) -> bytes:
    lines = (json.dumps(dataclasses.asdict(row), ensure_ascii=False) + "\n" for row in rows)
    return "".join(lines).encode(errors="surrogatepass")
