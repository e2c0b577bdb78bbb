"""What an OpenAI-compatible endpoint may do to us, over a real socket."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from tests.teacher_house import NOT_TAKEN, Desk, Reply, Script, http_desk, turns
from trainer_svc.curation.question import Question
from trainer_svc.teacher.base import NoAnswer, TeacherAway, TeacherRefused
from trainer_svc.teacher.openai import MAX_BODY_BYTES, OpenAiTeacher
from trainer_svc.teacher.patience import MAX_WAIT_SECONDS, PatientTeacher
from trainer_svc.teacher.settings import TeacherEntry

SCHEMA = '{"type":"object","properties":{"n":{"type":"integer"}}}'
QUESTION = Question("Be exact.", (), "three for Oslo", "tenants/acme/contracts/c", SCHEMA)
pytestmark = pytest.mark.timeout(60)


def _ask(script: Script, times: int = 1, question: Question = QUESTION, **changes: Any) -> tuple[list[Any], Desk]:
    """Texts or errors, and the desk. Any: fields of an entry."""
    with http_desk(script) as desk:

        async def act() -> list[Any]:  # Any: text or error
            teacher = OpenAiTeacher(desk.entry(**changes))
            try:
                return [(await asyncio.gather(teacher.answer(question, 0), return_exceptions=True))[0]
                        for _ in range(times)]  # fmt: skip
            finally:
                await teacher.close()

        return asyncio.run(act()), desk


class TestRequest:
    """What is sent."""

    def test_is_a_chat_completion(self, tmp_path: Path) -> None:
        """With examples as turns of the conversation, the schema as the response format, and the key as a bearer."""
        (tmp_path / "key").write_text("sk-secret\n")
        question = Question("Be exact.", (("a", "1"),), "b", "tenants/acme/contracts/c", SCHEMA)

        _, desk = _ask(turns(Reply("{}")), question=question, api_key_file=str(tmp_path / "key"), temperature=0.2)

        (request,) = desk.requests
        assert request["path"] == "/v1/chat/completions"
        assert [(turn["role"], turn["content"]) for turn in request["messages"]] == [
            ("system", "Be exact."), ("user", "a"), ("assistant", "1"), ("user", "b"),
        ]  # fmt: skip
        assert request["response_format"]["json_schema"]["schema"] == json.loads(SCHEMA)
        assert (request["model"], request["temperature"], request["max_tokens"]) == ("large", 0.2, 4096)
        assert desk.keys == ["Bearer sk-secret"]

    def test_a_contract_of_another_kind_has_no_format(self) -> None:
        """There is no response format for SQL."""
        _, desk = _ask(turns(Reply("SELECT 1")), question=Question("", (), "b", "tenants/acme/contracts/c", ""))

        assert "response_format" not in desk.requests[0]

    def test_a_format_that_is_not_taken_is_left_out_from_then_on(self) -> None:
        """The endpoint is asked with it once."""

        def script(request: Any) -> Reply:  # Any: JSON
            return NOT_TAKEN if "response_format" in request else Reply("{}")

        answers, desk = _ask(script, times=3)

        assert answers == ["{}"] * 3
        assert ["response_format" in request for request in desk.requests] == [True, False, False, False]

    def test_a_question_that_is_not_taken_says_nothing_of_the_format(self) -> None:
        """The next one has it again."""
        answers, desk = _ask(turns(NOT_TAKEN, NOT_TAKEN, Reply("{}")), times=2)

        assert isinstance(answers[0], NoAnswer)
        assert ["response_format" in request for request in desk.requests] == [True, False, True]

    def test_a_key_that_is_renewed_counts_at_once(self, tmp_path: Path) -> None:
        """The file is read each time."""
        key = tmp_path / "key"
        key.write_text("one")

        def script(_: object) -> Reply:
            key.write_text("two")
            return Reply("{}")

        _, desk = _ask(script, times=2, api_key_file=str(key))

        assert desk.keys == ["Bearer one", "Bearer two"]

    def test_a_key_that_is_gone_refuses(self, tmp_path: Path) -> None:
        """Nothing is sent without it."""
        key = tmp_path / "key"
        key.write_text("one")

        def script(_: object) -> Reply:
            key.unlink()
            return Reply("{}")

        answers, desk = _ask(script, times=2, api_key_file=str(key))

        assert isinstance(answers[1], TeacherRefused)
        assert len(desk.requests) == 1


class TestResponse:
    """What comes back, from friend or foe."""

    @pytest.mark.parametrize(
        "reply",
        [
            Reply(body=b"<html>"),
            Reply(body=b"{}"),
            Reply(body=b'{"choices":[]}'),
            Reply(body=b'{"choices":[{"message":{"content":null}}]}'),
            Reply(body=b'{"choices":[{"message":{"content":"\xff"}}]}'),
            Reply(body=b'{"choices":[{"message":{"content":"\\ud800"}}]}'),
            Reply(body=b'{"choices":[{"message":{"content":7}}]}'),
            Reply(body=b"[" * 100_000),
            Reply("half of it", finish_reason="length"),
            Reply("", finish_reason="content_filter"),
            Reply("x" * MAX_BODY_BYTES),
            Reply(body=b" " * (100 << 20)),
            Reply(body=gzip.compress(b" " * (100 << 20)), headers=(("Content-Encoding", "gzip"),)),
            Reply(status=413),
            Reply(status=422, body=b"x" * (2 << 20)),
        ],
    )  # fmt: skip
    def test_what_is_no_whole_answer_is_none(self, reply: Reply) -> None:
        """It is not read further than it need be, and never repaired."""
        (answer,), _ = _ask(turns(reply))

        assert isinstance(answer, NoAnswer)

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
    def test_what_passes_is_away(self, status: int) -> None:
        """Asking again may help."""
        (answer,), _ = _ask(turns(Reply(status=status)))

        assert isinstance(answer, TeacherAway)

    @pytest.mark.parametrize("status", [204, 301, 307, 401, 402, 403, 404, 405])
    def test_what_stays_refuses(self, status: int) -> None:
        """Redirects among them: rows and key go where the operator says, and nowhere else."""
        (answer,), desk = _ask(turns(Reply(status=status, headers=(("Location", "http://127.0.0.1:1/"),))))

        assert isinstance(answer, TeacherRefused)
        assert len(desk.requests) == 1

    @pytest.mark.parametrize(
        ("header", "seconds"), [("7", 7), ("0", 0), ("soon", None), ("", None), ("9" * 99, 999999)]
    )
    def test_says_when_to_ask_again(self, header: str, seconds: float | None) -> None:
        """In seconds."""
        (answer,), _ = _ask(turns(Reply(status=429, headers=(("Retry-After", header),))))

        assert answer.wait_seconds == seconds

    def test_says_when_to_ask_again_as_a_date(self) -> None:
        """RFC 9110 has it so."""
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=1000), usegmt=True)

        (answer,), _ = _ask(turns(Reply(status=503, headers=(("Retry-After", date),))))

        assert 900 < answer.wait_seconds <= 1000

    @pytest.mark.parametrize("zone", ["+9999", "+" + "9" * 30])
    def test_a_date_that_is_none_says_nothing(self, zone: str) -> None:
        """The teacher is away all the same."""
        date = f"Mon, 01 Jan 2029 00:00:00 {zone}"

        (answer,), _ = _ask(turns(Reply(status=503, headers=(("Retry-After", date),))))

        assert isinstance(answer, TeacherAway)
        assert answer.wait_seconds is None

    def test_is_away_while_nobody_takes_the_connection(self) -> None:
        """That is no answer to a question, and not one that took too long."""
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            address = full.getsockname()
            waiting = [socket.socket() for _ in range(4)]  # the kernel drops whoever comes once its queue is full
            for other in waiting:
                other.setblocking(False)
                other.connect_ex(address)
            entry = TeacherEntry.model_validate({
                "kind": "openai", "url": f"http://127.0.0.1:{address[1]}/v1", "model": "m", "tenants": "*",
                "timeout_seconds": 1.0,
            })  # fmt: skip

            async def act() -> Exception | None:
                teacher = OpenAiTeacher(entry)
                try:
                    await teacher.answer(QUESTION, 0)
                except TeacherAway as err:
                    return err
                finally:
                    await teacher.close()
                return None

            error = asyncio.run(act())
            for other in waiting:
                other.close()

        assert type(error) is TeacherAway


class TestPatience:
    """Asking again."""

    def test_waits_as_long_as_the_teacher_wants(self) -> None:
        """But not for ever."""
        slept = self._slept(Reply(status=429, headers=(("Retry-After", "7"),)),
                            Reply(status=429, headers=(("Retry-After", "99999"),)), Reply("{}"))  # fmt: skip

        assert slept == [7, MAX_WAIT_SECONDS]

    def test_waits_longer_each_time_otherwise(self) -> None:
        """With some chance in it, so that not all come back at once."""
        slept = self._slept(*[Reply(status=500)] * 5, Reply("{}"))

        assert all(2**n <= seconds <= 2**n + 1 for n, seconds in enumerate(slept))
        assert len(slept) == 5

    def _slept(self, *replies: Reply) -> list[float]:
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        with http_desk(turns(*replies)) as desk:

            async def act() -> str:
                teacher = PatientTeacher(OpenAiTeacher(desk.entry()), attempts=6, sleep=sleep)
                try:
                    return await teacher.answer(QUESTION, 0)
                finally:
                    await teacher.close()

            assert asyncio.run(act()) == "{}"
        return slept
