"""Log lines: JSON with the ids of their request, without anybody's content."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from shared.errors import InternalFault
from shared.logs import JsonFormatter, bind

SECRET = "kumquat-7731"


class Log:
    """A logger of its own whose lines can be read."""

    def __init__(self, name: str) -> None:
        self._stream = io.StringIO()
        self._handler = logging.StreamHandler(self._stream)
        self._handler.setFormatter(JsonFormatter())
        self.logger = logging.Logger(name)  # noqa: LOG001  # outside of logging's tree, which other tests share
        self.logger.addHandler(self._handler)

    @property
    def text(self) -> str:
        """Everything that was written."""
        return self._stream.getvalue()

    @property
    def line(self) -> dict[str, Any]:
        """The only line."""
        (line,) = self.text.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found


@pytest.fixture
def log() -> Iterator[Log]:
    """A log in memory."""
    return Log("test")


class TestIds:
    """Fields that belong to a request."""

    def test_are_in_every_line_of_the_task_and_of_tasks_it_starts(self, log: Log) -> None:
        """And in no line of another request, however they interleave."""

        async def request(number: int) -> None:
            bind({"request_id": f"r{number}"})
            await asyncio.sleep(0)
            log.logger.info("own", extra={"number": number})
            await asyncio.create_task(background(number))

        async def background(number: int) -> None:
            log.logger.info("started", extra={"number": number})

        async def main() -> None:
            await asyncio.gather(*(asyncio.create_task(request(number)) for number in range(5)))
            log.logger.info("outside")

        asyncio.run(main())

        *inside, outside = (json.loads(line) for line in log.text.splitlines())
        assert len(inside) == 10
        assert all(line["request_id"] == f"r{line['number']}" for line in inside)
        assert "request_id" not in outside


class TestExceptions:
    """Errors with their places and causes."""

    def test_are_logged_without_their_texts(self, log: Log) -> None:
        """Neither that of the error nor those of its causes: each may quote a prompt or an answer."""
        try:
            try:
                json.loads("{}")[SECRET]
            except KeyError as err:
                raise InternalFault("GUARANTEE_BROKEN", f"{SECRET} is not there") from err
        except InternalFault:
            log.logger.exception("failed")

        assert SECRET not in log.text
        cause, _, last = log.line["exception"].partition("\nthen\n")
        assert cause.endswith("KeyError")
        assert last.endswith("InternalFault: GUARANTEE_BROKEN")
        assert "test_logs.py" in cause

    def test_of_the_system_keep_its_words(self, log: Log) -> None:
        """A full disk must be seen as one."""
        log.logger.error("failed", exc_info=OSError(28, "No space left on device", "/data/blobs/x"))

        assert log.line["exception"].endswith("OSError: No space left on device")

    def test_that_suppress_their_context_end_there(self, log: Log) -> None:
        """`raise ... from None` is honoured."""
        try:
            try:
                int("x")
            except ValueError:
                raise TypeError from None
        except TypeError:
            log.logger.exception("failed")

        assert "ValueError" not in log.line["exception"]

    def test_with_causes_without_end_are_cut(self, log: Log) -> None:
        """A cycle of causes does not hang the logger."""
        first, second = ValueError(), TypeError()
        first.__cause__, second.__cause__ = second, first

        log.logger.error("failed", exc_info=first)

        assert log.line["exception"].count("then") == 7

    def test_of_a_forgotten_task_are_told_without_its_representation(self) -> None:
        """The message of asyncio holds the task, the task its exception, the exception its text."""
        log = Log("asyncio")

        log.logger.error("Task exception was never retrieved\nfuture: <Task exception=ValueError('%s')>", SECRET)

        assert log.line["message"] == "Task exception was never retrieved"
