"""Teachers served by a Goldsmith inference service: a larger base model, or an adapter on one."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from shared.client import Credentials, InferenceClient
from shared.errors import DeadlineExceeded, DomainError, Exhausted, InternalFault, Unavailable
from trainer_svc.curation.question import Question
from trainer_svc.teacher.base import NoAnswer, TeacherAway, TeacherCard, TeacherRefused, TeacherSlow
from trainer_svc.teacher.settings import TeacherEntry

_PASSING = (Unavailable, Exhausted, InternalFault)
_OF_THE_QUESTION = frozenset({"CONTEXT_TOO_LONG", "FORMAT_CHECK_FAILED", "REQUEST_QUARANTINED"})
"""Reasons that say nothing of the next question. All others, of an adapter in quarantine say, are of the teacher."""
_INPUT_FIELD = "prompt.input"
MAX_PREFACE_BYTES = 63 << 10
"""An inference service takes instructions of 64 KiB; the rest is for the words around up to 32 examples."""


class GoldsmithTeacher:
    """Implements `Teacher`. Of an answer under the dataset's contract only the agreement is left to be seen."""

    def __init__(self, entry: TeacherEntry) -> None:
        credentials = Credentials(ca=entry.ca_file, token_file=entry.api_key_file) if entry.is_secured else None
        self._entry, self._client = entry, InferenceClient(entry.url, credentials)
        # Its own threads: calls that wait for a busy teacher must not hold up the rest of the service.
        self._threads = ThreadPoolExecutor(entry.parallel_requests, thread_name_prefix="teacher")

    @property
    def card(self) -> TeacherCard:
        """By the operator's file."""
        entry = self._entry
        return TeacherCard(entry.kind, entry.model, entry.max_rows, entry.parallel_requests, MAX_PREFACE_BYTES)

    async def answer(self, question: Question, seed: int) -> str:
        """As the protocol says."""
        entry = self._entry
        ask = partial(
            self._client.generate,
            entry.model,
            question.input,
            instructions=_instructions(question),
            contract="" if entry.model else question.contract,
            temperature=entry.temperature,
            seed=seed,
            max_output_tokens=entry.max_answer_tokens,
            priority="batch",
            timeout_seconds=entry.timeout_seconds,
        )
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        except DomainError as err:
            raise _teacher_error(err, entry.timeout_seconds) from err
        if answer.summary.budget_bound_steps > 0:  # it keeps the contract, and is not what the model would have said
            raise NoAnswer("the teacher's answer was shortened to fit its limit of tokens")
        return answer.text

    async def close(self) -> None:
        """Closes its connection."""
        self._client.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _teacher_error(error: DomainError, timeout_seconds: float) -> Exception:
    if isinstance(error, DeadlineExceeded):
        return TeacherSlow(f"no answer within {timeout_seconds:g} s")
    if isinstance(error, _PASSING):
        return TeacherAway(f"is away or busy ({error.reason})", error.retry_after_seconds)
    if error.reason in _OF_THE_QUESTION or any(violation.path == _INPUT_FIELD for violation in error.violations):
        return NoAnswer(f"the teacher does not take the question ({error.reason})")
    return TeacherRefused(f"refuses ({error.reason})")


def _instructions(question: Question) -> str:
    shown = "".join(f"\n\nInput:\n{text}\n\nOutput:\n{output}" for text, output in question.examples)
    return f"{question.instructions}\n\nExamples:{shown}" if shown else question.instructions
