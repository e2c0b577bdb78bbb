"""What a run measured once, on disk: a death in the middle of an evaluation does not cost all of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from shared.files import write_atomic
from trainer_svc.store.codec import dump, load

Thing = TypeVar("Thing")


class Memo:
    """Values by name, each computed at most once in the life of the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has_answers(self, name: str) -> bool:
        """Whether `keep_answers` has been called for it."""
        return self._path(name).is_file()

    def keep_answers(self, name: str, answers: Sequence[Sequence[int]]) -> None:
        """Answers as token ids; they are whole once they are there."""
        write_atomic(self._path(name), json.dumps(answers).encode())

    def answers(self, name: str) -> list[list[int]]:
        """What `keep_answers` was given."""
        stored: list[list[int]] = json.loads(self._path(name).read_bytes())
        return stored

    def thing(self, kind: type[Thing], name: str, compute: Callable[[], Thing]) -> Thing:
        """A domain dataclass."""
        if self._path(name).is_file():
            return self.kept(kind, name)
        found = compute()
        write_atomic(self._path(name), dump(found).encode())
        return found

    def kept(self, kind: type[Thing], name: str) -> Thing:
        """A thing that has been computed."""
        return load(kind, self._path(name).read_text(encoding="utf-8"))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"
