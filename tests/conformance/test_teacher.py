"""What every teacher does; runs on each kind, over a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.access.issuer import Certificate, CertificateAuthority
from tests.teacher_house import BUSY, DESKS, NOT_TAKEN, REFUSAL, SILENCE, SLOW_SECONDS, Desk, Reply, Script, turns
from trainer_svc.curation.question import Question
from trainer_svc.domain.teacher import TeacherKind
from trainer_svc.teacher.base import NoAnswer, TeacherAway, TeacherRefused, TeacherSlow
from trainer_svc.teacher.book import TeacherBook

QUESTION = Question(
    "Be exact.", (("two for Rome", '{"n":2}'),), "three for Oslo 🙂", "tenants/acme/contracts/c", '{"type":"object"}'
)
pytestmark = pytest.mark.timeout(60)
Asked = tuple[str | Exception, Desk]
Ask = Callable[..., Asked]


@pytest.fixture(params=DESKS)
def ask(request: pytest.FixtureRequest) -> Ask:
    """Asks a teacher that follows a script; its answer or its error."""

    def run(
        script: Script, seed: int = 7, *, certificate: Certificate | None = None, **changes: Any
    ) -> Asked:  # Any: fields of the operator's entry
        with DESKS[request.param](script, certificate) as desk:
            if "url" in changes and request.param == "openai":
                changes["url"] = f"http://{changes['url']}/v1"
            book = TeacherBook.of({"large": desk.entry(**changes)})

            async def act() -> str | Exception:
                teacher = book.find("large", "acme")
                assert teacher.card.kind is TeacherKind(request.param)
                try:
                    return await teacher.answer(QUESTION, seed)
                except (TeacherAway, TeacherRefused, NoAnswer) as err:
                    return err
                finally:
                    await book.close()

            return asyncio.run(act()), desk

    return run


class TestTeacher:
    """A question in, a text out."""

    @pytest.mark.parametrize("text", ['{"n":3}', "", " \n", "Sure, here is your JSON: {}", "日本\u0000🙂", "NaN"])
    def test_gives_the_text_as_it_came(self, ask: Ask, text: str) -> None:
        """Nothing is stripped, read or repaired here."""
        answer, _ = ask(turns(Reply(text)))

        assert answer == text

    def test_is_told_everything(self, ask: Ask) -> None:
        """Instructions, examples, the input and the seed."""
        _, desk = ask(turns(Reply("{}")))

        (request,) = desk.requests
        told = "".join(message["content"] for message in request["messages"])
        assert all(text in told for text in ("Be exact.", "two for Rome", '{"n":2}'))
        assert desk.inputs == [QUESTION.input]
        assert request["seed"] == 7

    def test_is_asked_again_while_it_is_busy(self, ask: Ask) -> None:
        """As soon as it allows."""
        answer, desk = ask(turns(BUSY, BUSY, Reply("{}")), attempts=3)

        assert answer == "{}"
        assert len(desk.requests) == 3

    def test_is_away_after_all_attempts(self, ask: Ask) -> None:
        """Not for ever."""
        answer, desk = ask(turns(BUSY), attempts=2)

        assert isinstance(answer, TeacherAway)
        assert len(desk.requests) == 2

    def test_is_away_where_nobody_listens(self, ask: Ask) -> None:
        """A connection that is refused is like a server that is busy."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        answer, _ = ask(turns(Reply("")), attempts=1, timeout_seconds=5.0, url=address)

        assert isinstance(answer, TeacherAway)

    def test_is_slow_when_it_hangs(self, ask: Ask) -> None:
        """It is waited for as long as the operator says."""
        answer, _ = ask(turns(SILENCE), attempts=1, timeout_seconds=SLOW_SECONDS)

        assert isinstance(answer, TeacherSlow)

    def test_refuses_once(self, ask: Ask) -> None:
        """What asking again does not mend is not asked again."""
        answer, desk = ask(turns(REFUSAL))

        assert isinstance(answer, TeacherRefused)
        assert len(desk.requests) == 1

    def test_has_no_answer_to_a_question_that_it_does_not_take(self, ask: Ask) -> None:
        """Others may have one."""
        answer, _ = ask(turns(NOT_TAKEN))

        assert isinstance(answer, NoAnswer)

    def test_has_no_answer_where_its_limit_shortened_it(self, ask: Ask) -> None:
        """Though the text may keep the contract."""
        answer, desk = ask(turns(Reply('{"n":3}', finish_reason="length")))

        assert isinstance(answer, NoAnswer)
        assert len(desk.requests) == 1

    def test_is_known_by_the_authority_that_the_operator_names(self, ask: Ask, tmp_path: Path) -> None:
        """It gets the key, over TLS."""
        authority = CertificateAuthority(tmp_path)
        (tmp_path / "token").write_text("secret\n")
        files = {"ca_file": str(authority.path), "api_key_file": str(tmp_path / "token")}

        answer, desk = ask(turns(Reply("{}")), certificate=authority.issue("server", "127.0.0.1"), **files)

        assert answer == "{}"
        assert desk.keys == ["Bearer secret"]

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # of the server's own thread
    def test_a_stranger_is_told_nothing(self, ask: Ask, tmp_path: Path) -> None:
        """Neither the question nor the key."""
        own, other = CertificateAuthority(tmp_path), CertificateAuthority(tmp_path, "other")
        (tmp_path / "token").write_text("secret\n")
        files = {"ca_file": str(own.path), "api_key_file": str(tmp_path / "token")}
        stranger = other.issue("server", "127.0.0.1")

        answer, desk = ask(turns(Reply("{}")), certificate=stranger, attempts=1, timeout_seconds=3.0, **files)

        assert isinstance(answer, TeacherAway)
        assert desk.requests == []

    def test_errors_hold_neither_question_nor_key(self, ask: Ask) -> None:
        """They stand in logs."""
        for reply in (BUSY, REFUSAL, NOT_TAKEN):
            answer, _ = ask(turns(reply), attempts=1)

            assert not isinstance(answer, str)
            assert not any(text in str(answer) for text in ("Oslo", "Rome", "exact"))
