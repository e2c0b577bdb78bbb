"""Asks again where that may help, at growing intervals."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from trainer_svc.curation.question import Question
from trainer_svc.teacher.base import Teacher, TeacherAway, TeacherCard

MAX_WAIT_SECONDS = 300.0
"""Whatever a teacher asks for: after all attempts the labelling pauses anyway, and others may go first."""
_GROWING = wait_exponential_jitter(initial=1, max=60, jitter=1)


class PatientTeacher:
    """Implements `Teacher`: another one, asked up to `attempts` times while it is away."""

    def __init__(
        self, teacher: Teacher, *, attempts: int, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._teacher, self._attempts, self._sleep = teacher, attempts, sleep

    @property
    def card(self) -> TeacherCard:
        """The other's."""
        return self._teacher.card

    async def answer(self, question: Question, seed: int) -> str:
        """The other's; the last error is raised when no attempt succeeds."""
        attempts = AsyncRetrying(
            stop=stop_after_attempt(self._attempts),
            wait=_wait,
            retry=retry_if_exception_type(TeacherAway),
            sleep=self._sleep,
            reraise=True,
        )
        return await attempts(self._teacher.answer, question, seed)

    async def close(self) -> None:
        """Closes the other."""
        await self._teacher.close()


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.wait_seconds if isinstance(error, TeacherAway) else None
    return _GROWING(state) if asked is None else min(asked, MAX_WAIT_SECONDS)
