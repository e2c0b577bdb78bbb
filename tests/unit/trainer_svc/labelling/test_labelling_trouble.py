"""Teachers that are away, refuse or hang, and labellings that are killed, without a socket."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.names import DatasetName, absent
from shared.rpc.page import Page
from tests.unit.trainer_svc.labelling.house import (
    ASKED,
    SETTINGS,
    FakeTeacher,
    FakeTeachers,
    House,
    away_after,
    full_disk,
    numbered,
)
from trainer_svc.app import asking, labelling
from trainer_svc.app.sweeper import Sweeper
from trainer_svc.curation.question import Question
from trainer_svc.domain.dataset import Dataset, DatasetState
from trainer_svc.teacher.base import NoAnswer, Teacher, TeacherAway, TeacherRefused, TeacherSlow


class TestTrouble:
    """A teacher that is away, refuses or hangs, and a service that is killed."""

    def test_a_teacher_that_is_away_is_asked_again(self, house: House) -> None:
        """At growing intervals, which begin anew once it answered, and never what it answered before."""
        given: list[tuple[str, int]] = []

        def script(question: Question, seed: int) -> str:
            if (len(given), len(house.pauses)) in ((10, 0), (10, 1), (15, 2)):
                raise TeacherAway("is busy")
            given.append((question.input, seed))
            return numbered(question, seed)

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
            return numbered(question, seed)

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
            return numbered(question, seed)

        checked, reasons = house.run(FakeTeacher(script), house.outcome)

        assert checked.state is DatasetState.ACTIVE
        assert reasons["TEACHER_GAVE_NO_ANSWER"] == 1

    def test_a_teacher_that_hangs_on_everything_is_away(self, house: House) -> None:
        """However often: no row loses its answer for it, and the pauses grow."""

        def script(question: Question, seed: int) -> str:
            if len(house.pauses) < 10:
                raise TeacherSlow("no answer within 60 s")
            return numbered(question, seed)

        checked, reasons = house.run(FakeTeacher(script), house.outcome)

        assert checked.state is DatasetState.ACTIVE
        assert reasons["TEACHER_GAVE_NO_ANSWER"] == 0
        assert house.pauses == [30.0, 60.0, 120.0, *[300.0] * 7]

    def test_the_last_rows_are_not_asked_for_ever(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where nothing else is left to be answered in between, they are given up in the end."""
        monkeypatch.setattr(asking, "_LONE_SLOW_TURNS", 7)

        def script(question: Question, seed: int) -> str:
            if question.input == ASKED[-1]["input"]:
                raise TeacherSlow("no answer within 60 s")
            return numbered(question, seed)

        checked, reasons = house.run(FakeTeacher(script), house.outcome)

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
        first, second = FakeTeacher(away_after(20, given)), FakeTeacher()
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

        teacher = FakeTeacher(away_after(20, []))

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

        checked = house.run(FakeTeacher(), act, sleep=never, others={"away": FakeTeacher(away_after(0, []))})

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
                patched.setattr(labelling, "dump_answers", full_disk)
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
