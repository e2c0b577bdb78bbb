"""Labels the rows of an upload that came without an output, by the teacher that its owner chose."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Protocol

from sqlalchemy import Connection

from shared.contracts.spec import ContractSpec
from shared.digest import sha256_bytes
from shared.errors import StateConflict
from shared.names import DatasetName, absent, invalid_field
from shared.storage.base import BlobStore
from trainer_svc.app.answer_log import AnswerLog, dump_answers
from trainer_svc.app.asking import Asker, Asking
from trainer_svc.app.upload import Uploads
from trainer_svc.curation.agreement import Reply
from trainer_svc.curation.labelled import Labels
from trainer_svc.curation.question import Question, Unlabelled, choose_examples, find_unlabelled, instructions_of
from trainer_svc.curation.reader.row import FileFault
from trainer_svc.curation.reader.upload import read_upload
from trainer_svc.curation.row_file import load_rows
from trainer_svc.domain.dataset import Dataset, DatasetState
from trainer_svc.domain.teacher import Labelling, TeacherKind, TeacherSettings
from trainer_svc.store import catalog
from trainer_svc.store.database import Database
from trainer_svc.teacher.base import Teacher

_log = logging.getLogger(__name__)

MAX_PREFACE_BYTES = 256 << 10
"""Of what is said with each question: instruction prompt, contract and examples. It is paid for with each answer."""
_SHOWN_CHARS = 80
_LABELLINGS_AT_ONCE = 4
"""By one teacher, of all tenants; each tenant has one at a time of each teacher."""


class Teachers(Protocol):
    """The teachers that there are."""

    def find(self, name: str, tenant: str) -> Teacher:
        """A teacher. Raises `NotFound` where there is none of that name for the tenant of that id."""

    async def close(self) -> None:
        """Closes all connections."""


class _NoTeachers:
    """Implements `Teachers`."""

    def find(self, name: str, tenant: str) -> Teacher:
        raise absent(f"teacher {name[:_SHOWN_CHARS]!r}")

    async def close(self) -> None:
        pass


NO_TEACHERS: Teachers = _NoTeachers()
"""Of a service whose operator names none: no row leaves the house."""


class Labeller:
    """Asks for outputs of rows, in the background and for as long as it takes; a killed process is no loss."""

    def __init__(
        self, database: Database, uploads: Uploads, blobs: BlobStore, teachers: Teachers, *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:  # fmt: skip
        self._database, self._uploads, self._blobs, self._teachers = database, uploads, blobs, teachers
        self._asker = Asker(teachers.find, defaultdict(lambda: asyncio.Semaphore(_LABELLINGS_AT_ONCE)), sleep)
        self._reading = asyncio.Semaphore(1)
        # By tenant and teacher: one that is away, be it for days, holds up only what it is to label itself.
        self._turns: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._running: set[asyncio.Task[object]] = set()

    def check_teacher(self, name: DatasetName, settings: TeacherSettings) -> None:
        """Raises `NotFound` where there is no such teacher for the tenant, `InvalidInput` for examples of another."""
        self._teachers.find(settings.teacher, name.tenant)
        if settings.examples and DatasetName.parse(settings.examples, _EXAMPLES).tenant != name.tenant:
            raise invalid_field(_EXAMPLES, "belongs to another tenant")

    async def label(self, name: DatasetName, sealed: Dataset, spec: ContractSpec) -> Labels:
        """The answers for a dataset; returns when all are there. Why there are none at all says `Labels.fault`."""
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        assert sealed.teacher is not None, "only a dataset with a teacher is labelled"
        self._running.add(task)
        try:
            async with self._turns[name.tenant, sealed.teacher.teacher]:
                return await self._label(name, sealed, spec)
        finally:
            self._running.discard(task)

    async def stop(self) -> None:
        """Stops asking; what was answered is kept, and the rest asked for by the next process."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._teachers.close()

    async def _label(self, name: DatasetName, sealed: Dataset, spec: ContractSpec) -> Labels:
        assert sealed.teacher is not None, "only a dataset with a teacher is labelled"
        async with self._reading:
            unlabelled = await asyncio.to_thread(self._find, name, sealed, spec)
        log = AnswerLog(self._uploads.answers(name))
        asking = Asking(str(name), name.tenant, sealed.teacher, log, await asyncio.to_thread(log.read))
        preface, fault = Question("", (), "", "", ""), None
        if unlabelled.questions and not unlabelled.refusal:
            try:
                preface = await self._preface(sealed, spec)
                asked = {row: dataclasses.replace(preface, input=text) for row, text in unlabelled.questions.items()}
                await asking.finish(asked, self._asker)
            except FileFault as err:
                fault = err
        labelling = await asyncio.to_thread(self._store, asking, preface)
        _tell(asking, unlabelled)
        return Labels(unlabelled, _by_row(asking, unlabelled), sealed.teacher.min_agreement, labelling, fault)

    def _find(self, name: DatasetName, sealed: Dataset, spec: ContractSpec) -> Unlabelled:
        rows = read_upload(self._uploads.path(name), sealed.format, self._uploads.scratch)
        return find_unlabelled(rows, sealed.format, spec, sealed.policy)

    async def _preface(self, sealed: Dataset, spec: ContractSpec) -> Question:
        """What is the same for all rows. Raises `FileFault`."""
        settings = sealed.teacher
        assert settings is not None, "only a dataset with a teacher is labelled"
        examples: tuple[tuple[str, str], ...] = ()
        if settings.examples:
            source = DatasetName.parse(settings.examples)
            shown = await self._database.run(lambda connection: catalog.get_dataset(connection, source))
            rows = await asyncio.to_thread(lambda: load_rows(self._blobs.read(shown.train_rows)))
            examples = choose_examples(rows, settings)
        instructions = instructions_of(spec, sealed.instruction_prompt)
        preface = Question(instructions, examples, "", sealed.contract, spec.json_schema)
        if (size := preface.preface_bytes) > MAX_PREFACE_BYTES:
            message = f"instruction prompt, contract and examples have {size} bytes, the limit is {MAX_PREFACE_BYTES}"
            raise FileFault("TEACHER_PROMPT_TOO_LONG", message)
        return preface

    def _store(self, asking: Asking, preface: Question) -> Labelling | None:
        answers = asking.answers.values()
        if not answers:
            return None
        said = "\n".join((preface.instructions, *(text for pair in preface.examples for text in pair)))
        return Labelling(
            settings=asking.settings,
            kind=TeacherKind(next(iter(answers)).kind),
            models=tuple(sorted({answer.model for answer in answers})),
            instructions_digest=sha256_bytes(said.encode(errors="surrogatepass")),
            answers=self._blobs.put_bytes(dump_answers(answers)),
            answer_count=len(answers),
        )


_EXAMPLES = "dataset.teacher.examples"


def check_examples(connection: Connection, dataset: Dataset) -> None:
    """Raises `NotFound`, `StateConflict` or `InvalidInput` where the examples are of no use for the dataset."""
    if dataset.teacher is None or not dataset.teacher.examples:
        return
    shown = catalog.get_dataset(connection, DatasetName.parse(dataset.teacher.examples, _EXAMPLES))
    if shown.state is not DatasetState.ACTIVE:
        metadata = {"state": shown.state.value}
        raise StateConflict("STATE_CONFLICT", f"{shown.name} is {shown.state}, not active", metadata=metadata)
    if shown.contract != dataset.contract:
        raise invalid_field(_EXAMPLES, f"is under another contract: {shown.contract}")


def _by_row(asking: Asking, unlabelled: Unlabelled) -> dict[int, list[Reply]]:
    """Only those of a labelling that ended in a fault are not all there, and they are of no use."""
    found, samples = asking.answers, range(asking.settings.sample_count)
    return {
        row: [Reply(found[row, sample].text, found[row, sample].fault) for sample in samples if (row, sample) in found]
        for row in unlabelled.questions
    }


def _tell(asking: Asking, unlabelled: Unlabelled) -> None:
    """What an operator pays for, and, if a teacher answered nothing at all, why it did not."""
    faults = [answer.fault for answer in asking.answers.values() if answer.text is None]
    seen = {"dataset": asking.dataset, "teacher": asking.settings.teacher, "rows": len(unlabelled.questions)}
    seen |= {"answers": len(asking.answers), "without_text": len(faults)}
    if faults and len(faults) == len(asking.answers):
        _log.warning("a teacher answered nothing", extra={**seen, "fault": faults[0]})
    else:
        _log.info("a dataset was labelled", extra=seen)
