"""The file that keeps what aliases mean across restarts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from inference_svc.domain.canary_judge import Verdict
from shared.adapter.canary import CanarySplit
from shared.files import write_atomic


@dataclass(frozen=True)
class SavedCanary:
    """A revision on trial."""

    split: CanarySplit
    digest: str
    """Empty when it was not known yet."""
    verdict: Verdict | None = None
    """The registry may not have heard of it yet."""


@dataclass(frozen=True)
class SavedAlias:
    """What one alias means. Files of before there were canaries have none."""

    revision: str
    digest: str
    canary: SavedCanary | None = None


_FILE = TypeAdapter(dict[str, SavedAlias])


def read(path: Path) -> Mapping[str, SavedAlias]:
    """What was saved last, by alias; nothing where there is no file."""
    return _FILE.validate_json(path.read_bytes()) if path.is_file() else {}


def write(path: Path, saved: Mapping[str, SavedAlias]) -> None:
    """Replaces the file in one step."""
    write_atomic(path, _FILE.dump_json(dict(saved), indent=1))
