"""Datasets with a teacher, from the seal to the report and to what is made of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from shared.changes import Changes
from shared.errors import StateConflict
from shared.names import DatasetName
from tests.unit.trainer_svc.labelling.house import ASKED, DATA, GOLDEN, SETTINGS, FakeTeacher, House
from trainer_svc.app import answer_log, asking, labelling
from trainer_svc.app.curator import Curator
from trainer_svc.app.jobs import Jobs
from trainer_svc.curation.question import Question
from trainer_svc.curation.row_file import load_rows
from trainer_svc.domain.curation import CurationStep
from trainer_svc.domain.dataset import Dataset, DatasetState
from trainer_svc.domain.job import Job, JobSpec, JobState
from trainer_svc.domain.teacher import TeacherKind
from trainer_svc.teacher.base import NoAnswer, TeacherCard


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

        checked, reasons = house.run(FakeTeacher(script), house.outcome)

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

        checked, reasons = house.run(teacher, house.outcome)

        assert (checked.state, reasons) == (DatasetState.FAILED, {"FILE_TOO_LARGE": 1})
        assert teacher.asked == []

    def test_too_much_to_say_is_refused(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is cut."""
        monkeypatch.setattr(labelling, "MAX_PREFACE_BYTES", 20)

        checked, reasons = house.run(FakeTeacher(), house.outcome)

        assert (checked.state, reasons) == (DatasetState.FAILED, {"TEACHER_PROMPT_TOO_LONG": 1})

    def test_more_than_the_teacher_takes_is_refused(self, house: House) -> None:
        """Before anything is asked: no row is at fault."""
        teacher = FakeTeacher(card=TeacherCard(TeacherKind.GOLDSMITH, "", 5000, 3, max_preface_bytes=20))

        checked, reasons = house.run(teacher, house.outcome)

        assert (checked.state, reasons) == (DatasetState.FAILED, {"TEACHER_PROMPT_TOO_LONG": 1})
        assert teacher.asked == []

    def test_too_much_that_is_answered_ends_it(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """The disk is everybody's."""
        monkeypatch.setattr(answer_log, "MAX_BYTES", 500)

        checked, reasons = house.run(FakeTeacher(), house.outcome)

        assert (checked.state, reasons) == (DatasetState.FAILED, {"FILE_TOO_LARGE": 1})


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
