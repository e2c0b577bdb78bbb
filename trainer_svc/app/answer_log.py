"""Answers of a teacher on disk, as they come: each is paid for, so that none is asked for twice."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from shared.storage.local import disk_errors

MAX_BYTES = 64 << 20
"""Of the answers to one dataset, as much as an upload may have."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to one row. `fault` says why there is no text, where there is none."""

    row: int
    sample: int
    kind: str
    model: str
    text: str | None
    fault: str = ""

    @property
    def key(self) -> tuple[int, int]:
        """Which of all answers it is."""
        return self.row, self.sample


class AnswerLog:
    """One JSON object a line, appended durably; several threads may append."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()

    def read(self) -> dict[tuple[int, int], Answer]:
        """All answers. A last line that a killed process left unfinished is dropped from the file."""
        if not self._path.is_file():
            return {}
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with self._path.open("rb+") as file:
                file.truncate(whole)
        answers = (Answer(**json.loads(line)) for line in data[:whole].split(b"\n") if line)
        return {answer.key: answer for answer in answers}

    def append(self, answer: Answer) -> None:
        """Stores an answer before it returns.

        Raises:
            Exhausted: QUOTA_EXCEEDED on a full disk; nothing was stored.
            AnswersTooLarge: there is no room left in the log.
        """
        line = _line(answer)
        with self._lock, disk_errors(), self._path.open("ab") as file:
            size = file.tell()
            if size + len(line) > MAX_BYTES:
                raise AnswersTooLarge
            try:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise


class AnswersTooLarge(Exception):
    """All answers together have more bytes than are kept of one dataset."""


def dump_answers(answers: Iterable[Answer]) -> bytes:
    """All answers by row, in whatever order they came."""
    return b"".join(_line(answer) for answer in sorted(answers, key=lambda answer: answer.key))


def _line(answer: Answer) -> bytes:
    return json.dumps(asdict(answer)).encode() + b"\n"  # in ASCII: a half of a character is kept as it came
