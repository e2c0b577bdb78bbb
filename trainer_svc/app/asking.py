"""Asks a teacher all questions about one dataset: every answer is kept as it comes, and none is asked for twice."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.errors import Exhausted, NotFound
from trainer_svc.app.answer_log import MAX_BYTES, Answer, AnswerLog, AnswersTooLarge
from trainer_svc.curation.judgement import MAX_OUTPUT_BYTES
from trainer_svc.curation.question import Question
from trainer_svc.curation.reader.row import FileFault
from trainer_svc.domain.teacher import TeacherSettings
from trainer_svc.teacher.base import NoAnswer, Teacher, TeacherAway, TeacherCard, TeacherRefused, TeacherSlow

_log = logging.getLogger(__name__)

_PAUSES = (30.0, 60.0, 120.0, 300.0)
"""Seconds until a teacher that is away is asked again, by how often it was without an answer in between; then the last
one, without end."""
_TURN_ANSWERS = 64
"""After so many a dataset lets those of other tenants go first, should some wait for a place."""
_SLOW_TURNS = 3
"""A row on which the teacher hangs so often, through all attempts each time, gets no answer. Turns count where others
got one in between: a teacher that hangs on everything is away."""
_LONE_SLOW_TURNS = 100
"""As much without any answer in between: some eight hours of pauses. Or the last rows might be asked for ever."""

_Key = tuple[int, int]
"""Row and sample of an answer."""
_PAUSING = (TeacherAway, TeacherRefused, Exhausted)


@dataclass(frozen=True)
class Asker:
    """What every dataset's asking shares."""

    find: Callable[[str, str], Teacher]
    """By name and tenant; raises `NotFound`."""
    places: Mapping[str, asyncio.Semaphore]
    """By teacher: one that is waited for, which may take minutes in a turn, must not keep others from being asked."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass
class Asking:
    """The answers to one dataset's questions, those of earlier processes among them."""

    dataset: str
    tenant: str
    settings: TeacherSettings
    log: AnswerLog
    answers: dict[_Key, Answer]
    _slow: Counter[_Key] = field(default_factory=Counter)
    """Turns that hung, and had an answer since the one before."""
    _hung: Counter[_Key] = field(default_factory=Counter)
    """All turns that hung."""
    _texts_before: dict[_Key, int] = field(default_factory=dict)
    """How many texts there were when the teacher hung on it last."""
    _text_count: int = 0

    def __post_init__(self) -> None:
        self._text_count = sum(answer.text is not None for answer in self.answers.values())

    async def finish(self, questions: Mapping[int, Question], asker: Asker) -> None:
        """Returns when every answer is there, however long the teacher is away.

        Raises:
            FileFault: TEACHER_REFUSED or FILE_TOO_LARGE, there will never be answers.
        """
        away_count, left = 0, deque(self._left(questions))
        while left:
            teacher = self._find(asker)
            _check_fits(questions, teacher.card)
            turn, before = [left.popleft() for _ in range(min(_TURN_ANSWERS, len(left)))], self._text_count
            try:
                async with asker.places[self.settings.teacher]:
                    await self._turn(teacher, turn, questions)
            except AnswersTooLarge as err:
                message = f"the answers have more than {MAX_BYTES} bytes: label fewer rows, or ask for fewer samples"
                raise FileFault("FILE_TOO_LARGE", message) from err
            except _PAUSING as err:
                if isinstance(err, TeacherRefused) and not self._text_count:
                    self._tell("a teacher refuses", err)
                    raise FileFault("TEACHER_REFUSED", "the teacher refuses to answer anything") from err
                # One that refuses after answers were paid for is mended by its operator: they are not given up.
                self._tell("a labelling pauses", err)
                left.extendleft(key for key in reversed(turn) if key not in self.answers)
                away_count = 1 if self._text_count > before else away_count + 1
                await asker.sleep(_PAUSES[min(away_count, len(_PAUSES)) - 1])

    def _left(self, questions: Mapping[int, Question]) -> list[_Key]:
        samples = range(self.settings.sample_count)
        return [(row, sample) for row in questions for sample in samples if (row, sample) not in self.answers]

    def _find(self, asker: Asker) -> Teacher:
        try:
            return asker.find(self.settings.teacher, self.tenant)
        except NotFound as err:
            raise FileFault("TEACHER_REFUSED", f"teacher {self.settings.teacher!r} is no longer offered") from err

    async def _turn(self, teacher: Teacher, keys: Sequence[_Key], questions: Mapping[int, Question]) -> None:
        """Asks until all is answered or something is in the way; answers under way then are still waited for."""
        waiting, faults = iter(keys), list[Exception]()

        async def work() -> None:
            for key in waiting:
                if faults:
                    return
                try:
                    await self._ask(teacher, key, questions[key[0]])
                except (*_PAUSING, AnswersTooLarge) as err:
                    faults.append(err)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(teacher.card.parallel_requests, len(keys))):
                group.create_task(work())
        if faults:
            raise faults[0]

    async def _ask(self, teacher: Teacher, key: _Key, question: Question) -> None:
        (row, sample), card = key, teacher.card
        text, fault = None, ""
        try:
            text = await teacher.answer(question, self.settings.seed + sample)
        except NoAnswer as err:
            fault = str(err)
        except TeacherSlow as err:
            if not self._is_given_up(key):
                raise
            fault = str(err)
        if text is not None and (size := len(text.encode(errors="surrogatepass"))) > MAX_OUTPUT_BYTES:
            text, fault = None, f"the answer has {size} bytes, an output has {MAX_OUTPUT_BYTES} at most"
        answer = Answer(row, sample, card.kind, card.model, text, fault)
        await asyncio.to_thread(self.log.append, answer)
        self.answers[key] = answer
        self._text_count += text is not None

    def _is_given_up(self, key: _Key) -> bool:
        """After one more turn in which the teacher hung on it."""
        self._hung[key] += 1
        self._slow[key] += self._texts_before.get(key) != self._text_count
        self._texts_before[key] = self._text_count
        return self._slow[key] >= _SLOW_TURNS or self._hung[key] >= _LONE_SLOW_TURNS

    def _tell(self, message: str, err: Exception) -> None:
        seen = {"dataset": self.dataset, "teacher": self.settings.teacher, "answers": len(self.answers)}
        _log.warning(message, extra={**seen, "fault": str(err)})  # the texts of these errors quote nobody


def _check_fits(questions: Mapping[int, Question], card: TeacherCard) -> None:
    if len(questions) > card.max_rows:
        message = f"{len(questions)} rows have no output, and the teacher labels {card.max_rows} of one dataset at most"
        raise FileFault("FILE_TOO_LARGE", message)
    size, most = next(iter(questions.values())).preface_bytes, card.max_preface_bytes
    if most is not None and size > most:
        message = f"instruction prompt, contract and examples have {size} bytes, the teacher takes {most}"
        raise FileFault("TEACHER_PROMPT_TOO_LONG", message)
