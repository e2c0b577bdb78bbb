"""What a run measured once, on disk: a death in the middle of an evaluation does not cost all of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from shared.files import write_atomic
from trainer_svc.store.codec import dump, load

Thing = TypeVar("Thing")


class Memo:
    """Values by name, each computed at most once in the life of the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def tokens(self, name: str, compute: Callable[[], list[list[int]]]) -> list[list[int]]:
        """Answers as token ids."""
        path = self._folder / f"{name}.json"
        if path.is_file():
            stored: list[list[int]] = json.loads(path.read_bytes())
            return stored
        found = compute()
        write_atomic(path, json.dumps(found).encode())
        return found

    def thing(self, kind: type[Thing], name: str, compute: Callable[[], Thing]) -> Thing:
        """A domain dataclass."""
        path = self._folder / f"{name}.json"
        if path.is_file():
            return load(kind, path.read_text(encoding="utf-8"))
        found = compute()
        write_atomic(path, dump(found).encode())
        return found
