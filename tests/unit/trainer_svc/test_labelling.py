"""Datasets with a teacher, from the seal to the report, without a socket."""

from __future__ import annotations

import asyncio
import errno
import json
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from shared.changes import Changes
from shared.contracts.spec import ContractKind, ContractSpec
from shared.digest import sha256_bytes
from shared.errors import InvalidInput, NotFound, StateConflict
from shared.names import DatasetName, absent
from shared.rpc.page import Page
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from trainer_svc.app import answer_log, asking, labelling
from trainer_svc.app.curator import Curator
from trainer_svc.app.datasets import Datasets
from trainer_svc.app.jobs import Jobs
from trainer_svc.app.labelling import Labeller
from trainer_svc.app.sweeper import Sweeper
from trainer_svc.app.upload import Uploads
from trainer_svc.curation.compiled_example import ExampleCompiler
from trainer_svc.curation.question import Question
from trainer_svc.curation.row_file import load_rows
from trainer_svc.domain.curation import CurationStep
from trainer_svc.domain.dataset import Dataset, DatasetState, InvalidRowPolicy
from trainer_svc.domain.job import Job, JobSpec, JobState
from trainer_svc.domain.registry import Contract
from trainer_svc.domain.teacher import TeacherKind, TeacherSettings
from trainer_svc.store import catalog
from trainer_svc.store.database import Database
from trainer_svc.teacher.base import NoAnswer, Teacher, TeacherAway, TeacherCard, TeacherRefused, TeacherSlow

Result = TypeVar("Result")
SPEC = ContractSpec(ContractKind.JSON, json_schema='{"type":"integer"}')
CONTRACT = "tenants/acme/contracts/c"
WORDS = "ash birch cedar elm fir hazel larch maple oak pine rowan spruce willow yew alder beech".split()
GOLDEN = [{"input": f"how tall is the {word}", "output": n} for n, word in enumerate(WORDS)]
ASKED = [{"input": f"what grows near {word} in town {n}"} for n, word in enumerate(WORDS)]
DATA = b"".join(json.dumps(row).encode() + b"\n" for row in [*GOLDEN, *ASKED])
SETTINGS = TeacherSettings("large", sample_count=2, seed=40)


def _numbered(question: Question, seed: int) -> str:
    return question.input.split()[-1]


def _full_disk(_: object) -> bytes:
    raise OSError(errno.ENOSPC, "No space left on device")


def _until_away(count: int, given: list[tuple[str, int]]) -> Callable[[Question, int], str]:
    """So many answers, which are noted, and no more."""

    def script(question: Question, seed: int) -> str:
        if len(given) == count:
            raise TeacherAway("is away")
        given.append((question.input, seed))
        return _numbered(question, seed)

    return script


@dataclass
class FakeTeacher:
    """Implements `Teacher`; says what a test scripts, and counts."""

    script: Callable[[Question, int], str] = _numbered
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

    async def seal_and_wait(self, data: bytes = DATA, **options: Any) -> Dataset:  # Any: those of `seal`
        """Checked."""
        await self.seal(data, **options)
        return await self.checked(options.get("id_", "d"))

    async def reasons(self) -> Counter[str]:
        """Findings by reason."""
        found, _ = await self.datasets.findings(DatasetName("acme", "d"), Page(1000, ""))
        return Counter(finding.reason for finding in found)


@pytest.fixture
def house(tmp_path: Path, database: Database, compiler: ExampleCompiler) -> House:
    """Over a temporary folder."""
    return House(tmp_path, database, compiler)


class TestCreate:
    """What may be asked for."""

    def test_only_a_teacher_for_the_tenant(self, house: House) -> None:
        """One of another tenant is like none."""

        async def act() -> None:
            with pytest.raises(NotFound, match="teacher 'other' does not exist"):
                await house.seal(settings=TeacherSettings("other"))

        house.run(FakeTeacher(), act)

    def test_only_examples_that_there_are(self, house: House) -> None:
        """Active, of the same tenant, under the same contract."""

        async def act() -> None:
            await house.seal_and_wait(id_="shown")
            other = replace(await house.checked("shown"), name="tenants/acme/datasets/o", contract=f"{CONTRACT}2")
            failed = replace(other, name="tenants/acme/datasets/f", state=DatasetState.FAILED)
            await house.database.run(lambda c: (catalog.add_dataset(c, other), catalog.add_dataset(c, failed)))
            for examples, error in (
                ("tenants/acme/datasets/none", NotFound),
                ("tenants/globex/datasets/d", InvalidInput),
                ("nonsense", InvalidInput),
                (other.name, InvalidInput),
                (failed.name, StateConflict),
            ):
                with pytest.raises(error):
                    await house.seal(settings=replace(SETTINGS, examples=examples), id_="d")

        house.run(FakeTeacher(), act)

    @pytest.mark.parametrize(
        "changes",
        [{"sample_count": 9}, {"sample_count": -1}, {"min_agreement": 1.1}, {"min_agreement": float("nan")},
         {"min_agreement": -0.5}, {"example_count": 33}, {"seed": -1}, {"seed": (1 << 63) - 1}],
    )  # fmt: skip
    def test_only_settings_in_their_ranges(self, changes: dict[str, Any]) -> None:
        """Each is named."""
        with pytest.raises(InvalidInput, match=f"dataset.teacher.{next(iter(changes))}"):
            replace(SETTINGS, **changes)

    def test_a_request_is_another_with_another_teacher(self, house: House) -> None:
        """A request id stands for all that was asked."""

        async def act() -> None:
            new = Dataset("tenants/acme/datasets/d", CONTRACT, "", "", house.clock.now(), teacher=SETTINGS)
            await house.datasets.create(new, "once")
            await house.datasets.create(new, "once")
            with pytest.raises(InvalidInput, match="was used with another request"):
                await house.datasets.create(replace(new, teacher=replace(SETTINGS, seed=1)), "once")

        house.run(FakeTeacher(), act)

    def test_a_repeated_request_outlives_its_teacher(self, house: House) -> None:
        """It is answered with what it made, whatever the operator took away since."""

        async def act() -> tuple[Dataset, Dataset]:
            new = Dataset("tenants/acme/datasets/d", CONTRACT, "", "", house.clock.now(), teacher=SETTINGS)
            first = await house.datasets.create(new, "once")
            house.labeller._teachers = FakeTeachers(FakeTeacher(), tenants=())
            return first, await house.datasets.create(new, "once")

        first, second = house.run(FakeTeacher(), act)

        assert first == second


class TestSeal:
    """Labelling."""

    def test_labels_in_the_background(self, house: House) -> None:
        """The caller does not wait for the teacher; each row is asked about as often as wanted, by seeds in turn."""
        teacher = FakeTeacher()

        async def act() -> tuple[Dataset, Dataset]:
            return await house.seal(), await house.checked()

        sealed, checked = house.run(teacher, act)

        assert sealed.state is DatasetState.VALIDATING
        assert checked.state is DatasetState.ACTIVE
        assert sorted(teacher.asked) == sorted((row["input"], seed) for row in ASKED for seed in (40, 41))
        rows = load_rows(house.blobs.read(checked.train_rows))
        assert {row.input: row.output for row in rows if row.synthetic} == {
            row["input"]: str(n) for n, row in enumerate(ASKED)
        }
        assert not any(row.synthetic for row in load_rows(house.blobs.read(checked.holdout_rows)))
        assert checked.report is not None
        assert checked.report.synthetic is not None
        assert (checked.report.synthetic.unlabelled_count, checked.report.synthetic.kept_count) == (16, 16)

    def test_leaves_nothing_but_blobs(self, house: House) -> None:
        """Neither bytes nor answers lie in the folder of uploads."""
        house.run(FakeTeacher(), house.seal_and_wait)

        assert [path for path in house.uploads.scratch.parent.rglob("*") if path.is_file()] == []

    def test_tells_where_the_answers_come_from(self, house: House) -> None:
        """The same answers have the same digest, in whatever order they came; a manifest's dataset covers them."""

        async def act() -> list[Dataset]:
            return [await house.seal_and_wait(id_=id_) for id_ in ("d", "e")]

        one, two = house.run(FakeTeacher(), act)
        other = house.run(FakeTeacher(lambda *_: "7"), lambda: house.seal_and_wait(id_="f"))

        assert one.labelling is not None
        assert other.labelling is not None
        assert (one.labelling.kind, one.labelling.models, one.labelling.answer_count) == (
            TeacherKind.OPENAI,
            ("m",),
            32,
        )
        assert one.labelling == two.labelling
        assert len(house.blobs.read(one.labelling.answers).splitlines()) == 32
        assert one.digest == other.digest
        assert one.content_digest == two.content_digest != other.content_digest
        assert one.content_digest != one.digest

    def test_shows_examples(self, house: House) -> None:
        """Golden rows of another dataset, the same ones with each question."""
        teacher = FakeTeacher()
        settings = replace(SETTINGS, examples="tenants/acme/datasets/shown", example_count=3)

        async def act() -> None:
            await house.seal_and_wait(id_="shown")
            teacher.questions.clear()
            await house.seal_and_wait(settings=settings)

        house.run(teacher, act)

        (shown,) = {question.examples for question in teacher.questions}
        assert set(shown) <= {(row["input"], str(row["output"])) for row in GOLDEN}
        assert len(shown) == 3
        assert all(question.instructions.startswith("Say a number.") for question in teacher.questions)

    def test_drops_what_is_no_agreed_answer(self, house: House) -> None:
        """Each with its reason; the dataset is active all the same."""

        def script(question: Question, seed: int) -> str:
            number = int(question.input.split()[-1])
            if number == 0:
                raise NoAnswer("too long")
            return {1: "no number", 2: str(seed), 3: "1" * 20_000}.get(number, str(number))

        async def act() -> tuple[Dataset, Counter[str]]:
            return await house.seal_and_wait(), await house.reasons()

        checked, reasons = house.run(FakeTeacher(script), act)

        assert checked.state is DatasetState.ACTIVE
        dropped = {"TEACHER_GAVE_NO_ANSWER": 2, "TEACHER_BROKE_CONTRACT": 1, "TEACHER_DISAGREES": 1}
        assert {reason: reasons[reason] for reason in dropped} == dropped
        assert checked.report is not None
        assert checked.report.synthetic is not None
        assert checked.report.synthetic.dropped_counts == dropped

    def test_asks_nothing_where_golden_rows_fail(self, house: House) -> None:
        """Answers cost money."""
        teacher = FakeTeacher()

        checked = house.run(teacher, lambda: house.seal_and_wait(b'{"input":"a","output":"x"}\n' + DATA))

        assert checked.state is DatasetState.FAILED
        assert teacher.asked == []
        assert checked.labelling is None

    def test_labels_one_dataset_of_a_tenant_at_a_time(self, house: House) -> None:
        """The second waits for the first."""
        teacher = FakeTeacher()

        async def act() -> None:
            await house.seal(id_="d")
            await house.seal(id_="e")
            await house.checked("d")
            await house.checked("e")

        house.run(teacher, act)

        firsts = [text for text, _ in teacher.asked[:32]]
        assert Counter(firsts) == Counter(row["input"] for row in ASKED for _ in range(2))

    def test_tenants_take_turns(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """A large labelling does not hold up a small one until its end."""
        monkeypatch.setattr(labelling, "_LABELLINGS_AT_ONCE", 1)
        monkeypatch.setattr(asking, "_TURN_ANSWERS", 4)
        teacher = FakeTeacher()
        few = b"".join(DATA.splitlines(keepends=True)[: len(GOLDEN)]) + b'{"input":"what of 9"}\n'

        async def act() -> None:
            await house.seal()
            await house.seal(few, tenant="globex")
            await house.checked("d")
            await house.checked("d", "globex")

        house.run(teacher, act)

        places = [place for place, (text, _) in enumerate(teacher.asked) if text == "what of 9"]
        assert len(places) == 2
        assert max(places) < len(teacher.asked) - 2

    def test_more_rows_than_the_operator_allows_are_refused(self, house: House) -> None:
        """Before anything is asked."""
        teacher = FakeTeacher(card=TeacherCard(TeacherKind.OPENAI, "m", 15, 3))

        async def act() -> tuple[Dataset, Counter[str]]:
            return await house.seal_and_wait(), await house.reasons()

        checked, reasons = house.run(teacher, act)

        assert (checked.state, reasons) == (DatasetState.FAILED, {"FILE_TOO_LARGE": 1})
        assert teacher.asked == []

    def test_too_much_to_say_is_refused(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is cut."""
        monkeypatch.setattr(labelling, "MAX_PREFACE_BYTES", 20)

        async def act() -> tuple[Dataset, Counter[str]]:
            return await house.seal_and_wait(), await house.reasons()

        checked, reasons = house.run(FakeTeacher(), act)

        assert (checked.state, reasons) == (DatasetState.FAILED, {"TEACHER_PROMPT_TOO_LONG": 1})

    def test_more_than_the_teacher_takes_is_refused(self, house: House) -> None:
        """Before anything is asked: no row is at fault."""
        teacher = FakeTeacher(card=TeacherCard(TeacherKind.GOLDSMITH, "", 5000, 3, max_preface_bytes=20))

        async def act() -> tuple[Dataset, Counter[str]]:
            return await house.seal_and_wait(), await house.reasons()

        checked, reasons = house.run(teacher, act)

        assert (checked.state, reasons) == (DatasetState.FAILED, {"TEACHER_PROMPT_TOO_LONG": 1})
        assert teacher.asked == []

    def test_too_much_that_is_answered_ends_it(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """The disk is everybody's."""
        monkeypatch.setattr(answer_log, "MAX_BYTES", 500)

        async def act() -> tuple[Dataset, Counter[str]]:
            return await house.seal_and_wait(), await house.reasons()

        checked, reasons = house.run(FakeTeacher(), act)

        assert (checked.state, reasons) == (DatasetState.FAILED, {"FILE_TOO_LARGE": 1})


class TestTrouble:
    """A teacher that is away, refuses or hangs, and a service that is killed."""

    def test_a_teacher_that_is_away_is_asked_again(self, house: House) -> None:
        """At growing intervals, which begin anew once it answered, and never what it answered before."""
        given: list[tuple[str, int]] = []

        def script(question: Question, seed: int) -> str:
            if (len(given), len(house.pauses)) in ((10, 0), (10, 1), (15, 2)):
                raise TeacherAway("is busy")
            given.append((question.input, seed))
            return _numbered(question, seed)

        checked = house.run(FakeTeacher(script), house.seal_and_wait)

        assert checked.state is DatasetState.ACTIVE
        assert house.pauses == [30.0, 60.0, 30.0]
        assert len(given) == len(set(given)) == 32

    def test_a_teacher_that_refuses_everything_fails_the_dataset(self, house: House) -> None:
        """What the operator must see to is not told to the tenant."""

        def script(question: Question, seed: int) -> str:
            raise TeacherRefused("refuses (HTTP 401)")

        async def act() -> tuple[Dataset, list[str]]:
            checked = await house.seal_and_wait()
            found, _ = await house.datasets.findings(DatasetName("acme", "d"), Page(10, ""))
            return checked, [f"{finding.reason}: {finding.message}" for finding in found]

        checked, told = house.run(FakeTeacher(script), act)

        assert checked.state is DatasetState.FAILED
        assert told == ["TEACHER_REFUSED: the teacher refuses to answer anything"]

    def test_one_that_refuses_after_answers_is_waited_for(self, house: House) -> None:
        """What was paid for is not given up for a key that ran out."""
        refusals = [3]

        def script(question: Question, seed: int) -> str:
            if refusals[0] and len(teacher.asked) > 10:
                refusals[0] -= 1
                raise TeacherRefused("refuses (HTTP 401)")
            return _numbered(question, seed)

        teacher = FakeTeacher(script)
        checked = house.run(teacher, house.seal_and_wait)

        assert checked.state is DatasetState.ACTIVE
        assert len(teacher.asked) == 32 + 3

    def test_that_a_teacher_answers_nothing_is_told_its_operator(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A setting that the endpoint does not take looks so; the rows are not at fault."""

        def script(question: Question, seed: int) -> str:
            raise NoAnswer("the teacher does not take the question (HTTP 400)")

        house.run(FakeTeacher(script), house.seal_and_wait)

        (record,) = [record for record in caplog.records if record.getMessage() == "a teacher answered nothing"]
        assert vars(record)["without_text"] == 32
        assert "HTTP 400" in vars(record)["fault"]

    def test_a_row_on_which_it_hangs_is_given_up(self, house: House) -> None:
        """After a few rounds; the others are labelled."""

        def script(question: Question, seed: int) -> str:
            if question.input == ASKED[4]["input"]:
                raise TeacherSlow("no answer within 60 s")
            return _numbered(question, seed)

        async def act() -> tuple[Dataset, Counter[str]]:
            return await house.seal_and_wait(), await house.reasons()

        checked, reasons = house.run(FakeTeacher(script), act)

        assert checked.state is DatasetState.ACTIVE
        assert reasons["TEACHER_GAVE_NO_ANSWER"] == 1

    def test_a_teacher_that_hangs_on_everything_is_away(self, house: House) -> None:
        """However often: no row loses its answer for it, and the pauses grow."""

        def script(question: Question, seed: int) -> str:
            if len(house.pauses) < 10:
                raise TeacherSlow("no answer within 60 s")
            return _numbered(question, seed)

        async def act() -> tuple[Dataset, Counter[str]]:
            return await house.seal_and_wait(), await house.reasons()

        checked, reasons = house.run(FakeTeacher(script), act)

        assert checked.state is DatasetState.ACTIVE
        assert reasons["TEACHER_GAVE_NO_ANSWER"] == 0
        assert house.pauses == [30.0, 60.0, 120.0, *[300.0] * 7]

    def test_the_last_rows_are_not_asked_for_ever(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where nothing else is left to be answered in between, they are given up in the end."""
        monkeypatch.setattr(asking, "_LONE_SLOW_TURNS", 7)

        def script(question: Question, seed: int) -> str:
            if question.input == ASKED[-1]["input"]:
                raise TeacherSlow("no answer within 60 s")
            return _numbered(question, seed)

        async def act() -> tuple[Dataset, Counter[str]]:
            return await house.seal_and_wait(), await house.reasons()

        checked, reasons = house.run(FakeTeacher(script), act)

        assert checked.state is DatasetState.ACTIVE
        assert reasons["TEACHER_GAVE_NO_ANSWER"] == 1
        assert len(house.pauses) in range(6, 14)

    def test_faults_are_no_answers(self, house: House) -> None:
        """A teacher that took no question and then refuses them all is not waited for."""

        def script(question: Question, seed: int) -> str:
            if len(teacher.asked) > 10:
                raise TeacherRefused("refuses (HTTP 401)")
            raise NoAnswer("too long")

        teacher = FakeTeacher(script)
        checked = house.run(teacher, house.seal_and_wait)

        assert checked.state is DatasetState.FAILED

    def test_a_killed_service_asks_only_for_what_is_missing(self, house: House) -> None:
        """Every answer is on disk before the next is asked for."""

        async def never(_: float) -> None:
            house.paused.set()
            await asyncio.Event().wait()

        async def until_away() -> None:
            await house.seal()
            await house.paused.wait()

        async def again() -> Dataset:
            await house.datasets.take_up()
            return await house.checked()

        given: list[tuple[str, int]] = []
        first, second = FakeTeacher(_until_away(20, given)), FakeTeacher()
        house.run(first, until_away, sleep=never)
        checked = house.run(second, again)

        assert checked.state is DatasetState.ACTIVE
        assert len(second.asked) == 32 - 20
        assert Counter(given + second.asked) == Counter((row["input"], seed) for row in ASKED for seed in (40, 41))

    def test_a_teacher_that_is_taken_away_ends_it(self, house: House) -> None:
        """The operator's word counts, also in the middle; the answers that came are kept as a blob."""

        class Gone(FakeTeachers):
            def find(self, name: str, tenant: str) -> Teacher:
                if house.pauses:
                    raise absent("teacher")
                return super().find(name, tenant)

        teacher = FakeTeacher(_until_away(20, []))

        async def act() -> tuple[Dataset, Counter[str]]:
            house.labeller._asker = replace(house.labeller._asker, find=Gone(teacher).find)
            return await house.seal_and_wait(), await house.reasons()

        checked, reasons = house.run(teacher, act)

        assert (checked.state, reasons) == (DatasetState.FAILED, {"TEACHER_REFUSED": 1})
        assert checked.labelling is not None
        assert checked.labelling.answer_count == 20

    @pytest.mark.parametrize("tenant", ["acme", "globex"])
    def test_a_teacher_that_is_away_holds_up_no_other(self, house: House, tenant: str) -> None:
        """Neither in its tenant, while the labelling pauses, nor in another one."""

        async def never(_: float) -> None:
            house.paused.set()
            await asyncio.Event().wait()

        async def act() -> Dataset:
            await house.seal(settings=replace(SETTINGS, teacher="away"), id_="e")
            await house.paused.wait()
            await house.seal(tenant=tenant)
            return await house.checked("d", tenant)

        checked = house.run(FakeTeacher(), act, sleep=never, others={"away": FakeTeacher(_until_away(0, []))})

        assert checked.state is DatasetState.ACTIVE

    def test_a_teacher_that_is_waited_for_takes_no_place_of_another(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its own attempts may take minutes each."""
        monkeypatch.setattr(labelling, "_LABELLINGS_AT_ONCE", 1)

        class Hanging(FakeTeacher):
            async def answer(self, question: Question, seed: int) -> str:
                house.paused.set()
                await asyncio.Event().wait()
                raise AssertionError

        async def act() -> Dataset:
            await house.seal(settings=replace(SETTINGS, teacher="hanging"), id_="e")
            await house.paused.wait()
            await house.seal(tenant="globex")
            return await house.checked("d", "globex")

        assert house.run(FakeTeacher(), act, others={"hanging": Hanging()}).state is DatasetState.ACTIVE

    def test_a_labelling_that_broke_goes_on_in_the_next_round(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A full disk or a database that was away must not leave it VALIDATING for ever; nothing is asked twice."""
        teacher, rounds = FakeTeacher(), []
        begun = asyncio.Event()

        async def next_round(seconds: float) -> None:
            rounds.append(seconds)
            if len(rounds) > 1:
                begun.set()
                await asyncio.Event().wait()

        async def act() -> tuple[Dataset, Dataset]:
            with monkeypatch.context() as patched:
                patched.setattr(labelling, "dump_answers", _full_disk)
                await house.seal()
                with pytest.raises(OSError, match="No space left"):
                    await house.checked()
            broken = await house.datasets.get(DatasetName("acme", "d"))
            sweeper = Sweeper(house.datasets, house.uploads, house.clock, retention_hours=1, sleep=next_round)
            sweeping = asyncio.create_task(sweeper.run())
            await begun.wait()
            checked = await house.checked()
            sweeping.cancel()
            return broken, checked

        broken, checked = house.run(teacher, act)

        assert broken.state is DatasetState.VALIDATING
        assert checked.state is DatasetState.ACTIVE
        assert rounds == [3600.0, 3600.0]
        assert len(teacher.asked) == 32

    def test_what_is_being_labelled_is_not_swept(self, house: House) -> None:
        """However long the teacher is away: its answers are paid for."""

        async def never(_: float) -> None:
            house.paused.set()
            await asyncio.Event().wait()

        def away(question: Question, seed: int) -> str:
            raise TeacherAway("is away")

        async def until_away() -> None:
            await house.seal()
            await house.paused.wait()

        async def sweep() -> bool:
            return await house.datasets.forget(DatasetName("acme", "d"), house.clock.now() + timedelta(days=99))

        house.run(FakeTeacher(away), until_away, sleep=never)

        assert not house.run(FakeTeacher(away), sweep)


class TestJobs:
    """On a dataset that waits for its teacher."""

    def test_are_refused(self, house: House) -> None:
        """They would wait without end, in the room of all tenants; once it is active, they are taken."""
        job = Job("tenants/acme/jobs/j", "tenants/acme/datasets/d", "tenants/acme/adapters/a", "live", JobSpec(),
                  house.clock.now())  # fmt: skip

        async def act() -> Job:
            jobs = Jobs(house.database, Changes(), house.clock)
            await house.seal()
            with pytest.raises(StateConflict, match="waits for its teacher's answers"):
                await jobs.create(job, "")
            await house.checked()
            return await jobs.create(job, "")

        assert house.run(FakeTeacher(), act).state is JobState.PENDING


class TestCuration:
    """Of a dataset with labelled rows."""

    def test_keeps_the_mark_of_each_row(self, house: House) -> None:
        """A labelled row stays one, and is not held out; the lineage names the content, answers included."""
        data = DATA.replace(b"near ash", b"near ann@acme.com, ash")

        async def act() -> tuple[Dataset, Dataset]:
            sealed = await house.seal_and_wait(data)
            curator = Curator(house.database, house.blobs, house.clock, compiler=house.compiler)
            source, name = DatasetName("acme", "d"), DatasetName("acme", "e")
            steps = [CurationStep.REPLACE_PERSONAL_DATA, CurationStep.UNICODE_NFC, CurationStep.DROP_DUPLICATES]
            return sealed, await curator.curate(name, source, steps, "")

        sealed, made = house.run(FakeTeacher(), act)

        assert made.state is DatasetState.ACTIVE
        assert made.lineage is not None
        assert made.lineage.source_digest == sealed.content_digest != sealed.digest
        rows = load_rows(house.blobs.read(made.train_rows))
        assert sum(row.synthetic for row in rows) == 16
        assert [row.synthetic for row in rows if "@example.org, ash" in row.input] == [True]
        assert not any(row.synthetic for row in load_rows(house.blobs.read(made.holdout_rows)))
        assert made.report is not None
        assert made.report.synthetic is not None
        assert made.report.synthetic.kept_count == 16
