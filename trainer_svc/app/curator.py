"""Curation on request: a new dataset from another, with what was changed. The source stays as it is."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence

from sqlalchemy import Connection

from shared.clock import Clock
from shared.contracts.spec import ContractSpec
from shared.digest import sha256_bytes
from shared.errors import AlreadyExists, Exhausted, StateConflict
from shared.names import ContractName, DatasetName, invalid_field
from shared.rpc.page import Page
from shared.storage.base import BlobStore
from trainer_svc.app.dataset_outcome import finish
from trainer_svc.app.observer import UNOBSERVED, Observer
from trainer_svc.curation.change_text import tell
from trainer_svc.curation.check import check
from trainer_svc.curation.compiled_example import ExampleCompiler
from trainer_svc.curation.personal.base import PersonalDataFinder
from trainer_svc.curation.personal.finder import PATTERNS
from trainer_svc.curation.pseudonym.known import KnownPseudonyms, UnknownFinder
from trainer_svc.curation.reader.row import Row
from trainer_svc.curation.row_file import load_rows
from trainer_svc.curation.step import SplitRow, Tools, curate
from trainer_svc.curation.token_gauge import TokenGauge
from trainer_svc.domain.curation import Change, CurationStep, Lineage, ToldChange
from trainer_svc.domain.dataset import Dataset, DatasetState, Finding
from trainer_svc.store import catalog
from trainer_svc.store.codec import dump, load
from trainer_svc.store.database import Database

MAX_TEXT_CHANGES = 100
"""In an answer with texts: of each row up to twice `MAX_TOLD_BYTES`."""
_SYSTEM_RANDOM = random.SystemRandom()
_Plan = tuple[tuple[CurationStep, ...], int | None]
"""Steps, and the most tokens of a row where a step needs them."""


class Curator:
    """Makes datasets from datasets, one at a time; each tenant waits for one."""

    def __init__(
        self, database: Database, blobs: BlobStore, clock: Clock, *, compiler: ExampleCompiler,
        finder: PersonalDataFinder = PATTERNS, observer: Observer = UNOBSERVED,
        randomness: random.Random = _SYSTEM_RANDOM,
    ) -> None:  # fmt: skip
        self._database, self._blobs, self._clock = database, blobs, clock
        self._compiler, self._finder, self._observer = compiler, finder, observer
        self._randomness = randomness
        self._running: dict[str, tuple[str, asyncio.Task[Dataset]]] = {}  # by tenant, with the payload's digest
        self._place = asyncio.Semaphore(1)
        self._telling = asyncio.Semaphore(1)

    async def curate(
        self, name: DatasetName, source: DatasetName, steps: Sequence[CurationStep], request_id: str, *,
        max_row_tokens: int | None = None,
    ) -> Dataset:  # fmt: skip
        """A new dataset: the source after the steps, checked as one that was uploaded.

        A repeat of the curation that runs waits for it.

        Raises:
            NotFound: the source does not exist.
            StateConflict: STATE_CONFLICT, the source is not ACTIVE.
            AlreadyExists: the id is taken.
            Exhausted: QUOTA_EXCEEDED while another curation of the tenant runs.
        """
        _check_request(name, source, steps, max_row_tokens)
        limits = [] if max_row_tokens is None else [max_row_tokens]
        payload = sha256_bytes(json.dumps([str(name), str(source), *steps, *limits]).encode())
        plan = tuple(steps), max_row_tokens

        def begin(connection: Connection) -> tuple[Dataset, Dataset | None]:
            is_repeated = catalog.repeated(connection, name.tenant, "CurateGoldenDataset", request_id, payload)
            found, stored = catalog.get_dataset(connection, source), catalog.find_dataset(connection, name)
            # A request that failed later leaves its id behind, and another may have taken the name since.
            if stored is not None and not (is_repeated and _is_made(stored, source, plan)):
                raise AlreadyExists("RESOURCE_EXISTS", f"{name} exists", hint="datasets never change: take a new id")
            if found.state is not DatasetState.ACTIVE:
                metadata = {"state": found.state.value}
                raise StateConflict("STATE_CONFLICT", f"{source} is {found.state}, not active", metadata=metadata)
            return found, stored

        found, stored = await self._database.run(begin)
        if stored is not None:
            return stored
        running, task = self._running.get(name.tenant, (payload, None))
        if running != payload:
            raise Exhausted("QUOTA_EXCEEDED", f"another curation of {name.parent} runs", retry_after_seconds=5.0)
        if task is None:
            task = asyncio.create_task(self._make(name, found, plan))
            self._running[name.tenant] = payload, task
            task.add_done_callback(lambda _: self._running.pop(name.tenant))
        # Shielded: a caller that hangs up and asks again must not have two threads at work.
        return await asyncio.shield(task)

    async def changes(self, name: DatasetName, page: Page) -> tuple[list[Change], str]:
        """One page by row of what was done to the source; none of a dataset that was uploaded."""
        lineage = (await self._database.run(lambda connection: catalog.get_dataset(connection, name))).lineage
        after = page.number()
        if lineage is None:
            return [], ""
        lines = await asyncio.to_thread(lambda: self._blobs.read(lineage.changes).splitlines())
        taken = [load(Change, line.decode()) for line in lines[after : after + page.size]]
        return taken, page.numbered_token(after + page.size) if len(lines) > after + page.size else ""

    async def told_changes(self, name: DatasetName, page: Page, *, include_text: bool) -> tuple[list[ToldChange], str]:
        """As `changes`; with text a page is no longer than `MAX_TEXT_CHANGES`."""
        if not include_text:
            found, token = await self.changes(name, page)
            return list(map(ToldChange, found)), token
        found, token = await self.changes(name, Page(min(page.size, MAX_TEXT_CHANGES), page.after))

        def work(connection: Connection) -> tuple[Dataset | None, Dataset]:
            made = catalog.get_dataset(connection, name)
            source = catalog.find_dataset(connection, DatasetName.parse(made.lineage.source)) if made.lineage else None
            return source, made

        source, made = await self._database.run(work)
        return await self._tell(found, source, made), token

    async def _tell(self, found: Sequence[Change], source: Dataset | None, made: Dataset) -> list[ToldChange]:
        """One at a time: stored rows may take 64 MiB. Who hangs up gives up waiting, and no place that a thread has."""
        await self._telling.acquire()
        telling = asyncio.create_task(asyncio.to_thread(tell, self._blobs, found, source, made))
        telling.add_done_callback(lambda _: self._telling.release())
        return await asyncio.shield(telling)

    async def _make(self, name: DatasetName, source: Dataset, plan: _Plan) -> Dataset:
        contract = await self._database.run(lambda c: catalog.get_contract(c, ContractName.parse(source.contract)))
        spec = ContractSpec.from_canonical(contract.spec.encode())
        async with self._place:
            made, findings = await asyncio.to_thread(self._work, name, source, plan, spec)

        def store(connection: Connection) -> None:
            catalog.add_dataset(connection, made)
            catalog.save_dataset(connection, made, findings)

        await self._database.run(store)
        self._observer.dataset_checked(made)
        return made

    def _work(
        self, name: DatasetName, source: Dataset, plan: _Plan, spec: ContractSpec
    ) -> tuple[Dataset, Sequence[Finding]]:
        steps, max_row_tokens = plan
        known = self._known(source)
        tools = Tools(spec, self._compiler, self._finder, known, self._randomness, max_row_tokens)
        splits = (("train", source.train_rows), ("holdout", source.holdout_rows))
        rows = [SplitRow(split, row) for split, digest in splits for row in load_rows(self._blobs.read(digest))]
        kept, changes = curate(rows, steps, tools)
        data = b"".join(json.dumps(_fields(row) | _mark(row), ensure_ascii=False).encode() + b"\n" for row in kept)
        gauge = TokenGauge(self._compiler, source.instruction_prompt)
        # As in the source: findings name rows there.
        numbered = (Row(row.row.row, _fields(row), row.row.synthetic) for row in kept)
        finder = UnknownFinder(self._finder, known)
        # Rows keep their sides; the seed is for a curation that drops all that were held out.
        checked = check(numbered, spec, source.policy, source.split_seed, gauge=gauge, finder=finder)
        lines = b"".join(dump(change).encode() + b"\n" for change in changes)
        pseudonyms = self._blobs.put_bytes(known.dump()) if known else ""
        changed = self._blobs.put_bytes(lines)
        lineage = Lineage(source.name, source.content_digest, steps, changed, max_row_tokens, pseudonyms)
        made = Dataset(
            str(name), source.contract, source.instruction_prompt, source.database_sql, self._clock.now(),
            policy=source.policy, size_bytes=len(data), digest=sha256_bytes(data), lineage=lineage,
            split_seed=source.split_seed,
        )  # fmt: skip
        return finish(self._blobs, made, checked), checked.findings

    def _known(self, source: Dataset) -> KnownPseudonyms:
        digest = source.lineage.pseudonyms if source.lineage else ""
        return KnownPseudonyms.load(self._blobs.read(digest)) if digest else KnownPseudonyms()


def _check_request(
    name: DatasetName, source: DatasetName, steps: Sequence[CurationStep], max_row_tokens: int | None
) -> None:
    if source.tenant != name.tenant:
        raise invalid_field("source", "belongs to another tenant")
    if not steps or len(set(steps)) < len(steps):
        raise invalid_field("steps", f"must name one or more of {', '.join(CurationStep)}, each once")
    if CurationStep.REPLACE_PERSONAL_DATA in steps[1:]:
        # The digests of an earlier step would give the data away.
        raise invalid_field("steps", f"must begin with {CurationStep.REPLACE_PERSONAL_DATA}")
    if (max_row_tokens is None) is (CurationStep.DROP_LONG_ROWS in steps):
        raise invalid_field("max_row_tokens", f"must be given with {CurationStep.DROP_LONG_ROWS}, and only then")
    if max_row_tokens is not None and max_row_tokens < 1:
        raise invalid_field("max_row_tokens", f"must be at least 1, got {max_row_tokens}")


def _is_made(stored: Dataset, source: DatasetName, plan: _Plan) -> bool:
    lineage = stored.lineage
    return lineage is not None and (lineage.source, (lineage.steps, lineage.max_row_tokens)) == (str(source), plan)


def _fields(row: SplitRow) -> dict[str, str]:
    return {"input": row.row.input, "output": row.row.output, "split": row.split}


def _mark(row: SplitRow) -> dict[str, bool]:
    return {"synthetic": True} if row.row.synthetic else {}
