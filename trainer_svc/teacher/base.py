"""What a teacher can do, and in which ways it may fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from trainer_svc.curation.question import Question
from trainer_svc.domain.teacher import TeacherKind


class TeacherAway(Exception):
    """It does not answer now; asked later it may. `wait_seconds` is what it asks for itself, if it does."""

    def __init__(self, message: str, wait_seconds: float | None = None) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


class TeacherSlow(TeacherAway):
    """This question took longer than the operator allows: the teacher is busy, or the question is at fault."""


class TeacherRefused(Exception):
    """It answers nothing at all until its operator changes something. The text is for the operator, not for tenants."""


class NoAnswer(Exception):
    """To this question it has no answer that could be used, and would have none if asked again."""


@dataclass(frozen=True)
class TeacherCard:
    """What others must know of a teacher."""

    kind: TeacherKind
    model: str
    max_rows: int
    """Of one dataset."""
    parallel_requests: int
    max_preface_bytes: int | None = None
    """Of what is said with each question; None: it sets no limit of its own."""


class Teacher(Protocol):
    """A larger model somewhere else."""

    @property
    def card(self) -> TeacherCard:
        """What it is."""

    async def answer(self, question: Question, seed: int) -> str:
        """The text of one answer as it came: nothing is cut off it, and nothing that was cut is an answer.

        Different seeds may give different answers. The text is valid UTF-8 of any length up to a MiB; it may break the
        contract.

        Raises:
            TeacherAway: connection, overload or a fault of the server.
            TeacherSlow: no answer within its time.
            TeacherRefused: key, address or model are wrong.
            NoAnswer: the question is too long, or the answer was cut, too large, or none.
        """

    async def close(self) -> None:
        """Closes its connections; questions that run end in any of the errors."""
