"""What an inference service may answer a teacher's question with, over a real socket."""

from __future__ import annotations

import asyncio

import pytest

from shared.errors import DomainError, Exhausted, FieldViolation, InvalidInput, StateConflict
from tests.teacher_house import Reply, grpc_desk, turns
from trainer_svc.curation.question import Question
from trainer_svc.teacher.base import NoAnswer, TeacherAway, TeacherRefused
from trainer_svc.teacher.goldsmith import MAX_PREFACE_BYTES, GoldsmithTeacher, _instructions

pytestmark = pytest.mark.timeout(60)


def _invalid(path: str) -> InvalidInput:
    return InvalidInput("FIELD_INVALID", "scripted", violations=[FieldViolation(path, "scripted")])


class TestErrors:
    """Whom they speak of, told by their reason."""

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (InvalidInput("CONTEXT_TOO_LONG", "scripted"), NoAnswer),
            (StateConflict("FORMAT_CHECK_FAILED", "scripted"), NoAnswer),
            (StateConflict("REQUEST_QUARANTINED", "scripted"), NoAnswer),
            (_invalid("prompt.input"), NoAnswer),
            (_invalid("prompt.instructions"), TeacherRefused),
            (InvalidInput("OUTPUT_LIMIT_TOO_SMALL", "scripted"), TeacherRefused),
            (StateConflict("ADAPTER_QUARANTINED", "scripted"), TeacherRefused),
            (StateConflict("ADAPTER_REJECTED", "scripted"), TeacherRefused),
            (StateConflict("BASE_MODEL_MISMATCH", "scripted"), TeacherRefused),
            (Exhausted("QUOTA_EXCEEDED", "scripted"), TeacherAway),
        ],
    )
    def test_only_those_of_the_question_cost_its_row_the_answer(
        self, error: DomainError, expected: type[Exception]
    ) -> None:
        """What its operator can mend is waited for."""
        with grpc_desk(turns(Reply(error=error))) as desk:

            async def act() -> Exception | None:
                teacher = GoldsmithTeacher(desk.entry())
                try:
                    await teacher.answer(Question("Be exact.", (), "three", "tenants/acme/contracts/c", ""), 0)
                except (TeacherAway, TeacherRefused, NoAnswer) as err:
                    return err
                finally:
                    await teacher.close()
                return None

            assert type(asyncio.run(act())) is expected


class TestPreface:
    """Instructions and examples, which travel as one text."""

    def test_that_just_fits_is_taken(self) -> None:
        """With the most examples there may be, and the words around them."""
        shown = tuple(("i", "o") for _ in range(32))
        question = Question("x" * (MAX_PREFACE_BYTES - 64), shown, "", "", "")

        assert question.preface_bytes == MAX_PREFACE_BYTES
        assert len(_instructions(question).encode()) <= 64 << 10
