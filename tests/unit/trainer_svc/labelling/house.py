"""A trainer without a socket whose datasets may have a teacher, and the teachers."""

from __future__ import annotations

import asyncio
import errno
import json
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from shared.contracts.spec import ContractKind, ContractSpec
from shared.digest import sha256_bytes
from shared.names import DatasetName, absent
from shared.rpc.page import Page
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from trainer_svc.app.datasets import Datasets
from trainer_svc.app.labelling import Labeller
from trainer_svc.app.upload import Uploads
from trainer_svc.curation.compiled_example import ExampleCompiler
from trainer_svc.curation.question import Question
from trainer_svc.domain.dataset import Dataset, InvalidRowPolicy
from trainer_svc.domain.registry import Contract
from trainer_svc.domain.teacher import TeacherKind, TeacherSettings
from trainer_svc.store import catalog
from trainer_svc.store.database import Database
from trainer_svc.teacher.base import Teacher, TeacherAway, TeacherCard

Result = TypeVar("Result")
SPEC = ContractSpec(ContractKind.JSON, json_schema='{"type":"integer"}')
CONTRACT = "tenants/acme/contracts/c"
WORDS = "ash birch cedar elm fir hazel larch maple oak pine rowan spruce willow yew alder beech".split()
GOLDEN = [{"input": f"how tall is the {word}", "output": n} for n, word in enumerate(WORDS)]
ASKED = [{"input": f"what grows near {word} in town {n}"} for n, word in enumerate(WORDS)]
DATA = b"".join(json.dumps(row).encode() + b"\n" for row in [*GOLDEN, *ASKED])
SETTINGS = TeacherSettings("large", sample_count=2, seed=40)


def numbered(question: Question, seed: int) -> str:
    """The number at the end of the input, whatever the seed."""
    return question.input.split()[-1]


def full_disk(_: object) -> bytes:
    """Stands in for what writes."""
    raise OSError(errno.ENOSPC, "No space left on device")


def away_after(count: int, given: list[tuple[str, int]]) -> Callable[[Question, int], str]:
    """So many answers, which are noted, and no more."""

    def script(question: Question, seed: int) -> str:
        if len(given) == count:
            raise TeacherAway("is away")
        given.append((question.input, seed))
        return numbered(question, seed)

    return script


@dataclass
class FakeTeacher:
    """Implements `Teacher`; says what a test scripts, and counts."""

    script: Callable[[Question, int], str] = numbered
    card: TeacherCard = field(default_factory=lambda: TeacherCard(TeacherKind.OPENAI, "m", 5000, 3))
    asked: list[tuple[str, int]] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    async def answer(self, question: Question, seed: int) -> str:
        """The script's."""
        self.asked.append((question.input, seed))
        self.questions.append(question)
        await asyncio.sleep(0)
        return self.script(question, seed)

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class FakeTeachers:
    """One teacher, and others by name."""

    teacher: Teacher
    tenants: tuple[str, ...] = ("acme", "globex")
    others: dict[str, Teacher] = field(default_factory=dict)

    def find(self, name: str, tenant: str) -> Teacher:
        """As a book."""
        named = {"large": self.teacher} | self.others
        if name not in named or tenant not in self.tenants:
            raise absent(f"teacher {name!r}")
        return named[name]

    async def close(self) -> None:
        """Nothing is open."""


class House:
    """One life of the service after another, over stores in a folder."""

    def __init__(self, folder: Path, database: Database, compiler: ExampleCompiler) -> None:
        self.database, self.clock, self.compiler = database, ManualClock(datetime.now(UTC)), compiler
        self.uploads, self.blobs = Uploads(folder / "uploads"), LocalBlobStore(folder / "blobs")
        self.pauses: list[float] = []
        self.paused = asyncio.Event()
        self.datasets: Datasets
        self.labeller: Labeller

    def run(self, teacher: Teacher, act: Callable[[], Coroutine[Any, Any, Result]], **options: Any) -> Result:
        """One life; what it leaves undone is cut off."""
        stored = Contract(CONTRACT, SPEC.canonical().decode(), SPEC.digest, 1, 1, (), self.clock.now())

        async def pause(seconds: float) -> None:
            self.pauses.append(seconds)
            self.paused.set()
            await asyncio.sleep(0)

        async def life() -> Result:
            self.paused = asyncio.Event()
            self.labeller = Labeller(
                self.database, self.uploads, self.blobs, FakeTeachers(teacher, others=options.get("others", {})),
                sleep=options.get("sleep", pause),
            )  # fmt: skip
            self.datasets = Datasets(
                self.database, self.uploads, self.blobs, self.clock, compiler=self.compiler, labeller=self.labeller
            )
            for own in (stored, replace(stored, name=CONTRACT.replace("acme", "globex"))):
                await self.database.run(lambda connection, own=own: catalog.add_contract(connection, own))
            try:
                async with asyncio.timeout(30):
                    return await act()
            finally:
                await self.labeller.stop()

        return asyncio.run(life())

    async def seal(
        self, data: bytes = DATA, *, settings: TeacherSettings = SETTINGS, id_: str = "d", tenant: str = "acme",
        policy: InvalidRowPolicy = InvalidRowPolicy.REFUSE,
    ) -> Dataset:  # fmt: skip
        """A new dataset, uploaded and sealed."""
        name = DatasetName(tenant, id_)
        contract = CONTRACT.replace("acme", tenant)
        new = Dataset(str(name), contract, "Say a number.", "", self.clock.now(), teacher=settings)
        await self.datasets.create(new, "")
        await self.datasets.upload(name, 0, data)
        return await self.datasets.seal(name, len(data), sha256_bytes(data), policy)

    async def checked(self, id_: str = "d", tenant: str = "acme") -> Dataset:
        """The dataset when it is done; waits for no other."""
        name = DatasetName(tenant, id_)
        running = self.datasets._checks.get(name)
        return await running.task if running is not None else await self.datasets.get(name)

    async def outcome(self) -> tuple[Dataset, Counter[str]]:
        """The sealed dataset after its check, and how many findings of each reason it has."""
        return await self.seal_and_wait(), await self.reasons()

    async def seal_and_wait(self, data: bytes = DATA, **options: Any) -> Dataset:  # Any: those of `seal`
        """Checked."""
        await self.seal(data, **options)
        return await self.checked(options.get("id_", "d"))

    async def reasons(self) -> Counter[str]:
        """Findings by reason."""
        found, _ = await self.datasets.findings(DatasetName("acme", "d"), Page(1000, ""))
        return Counter(finding.reason for finding in found)
