"""The file that keeps canaries, and verdicts that the registry may not have heard of, across restarts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from inference_svc.domain.canary_judge import Verdict
from shared.adapter.canary import CanarySplit
from shared.files import write_atomic
from shared.names import RevisionName


@dataclass(frozen=True)
class SavedTrial:
    """One alias's canary beside the revision `live`."""

    live: RevisionName
    split: CanarySplit
    digest: str
    """Of the canary; empty when it was not known yet."""
    verdict: Verdict | None = None


_FILE = TypeAdapter(dict[str, SavedTrial])


def read(path: Path) -> Mapping[str, SavedTrial]:
    """What was saved last, by alias; nothing where there is no file."""
    return _FILE.validate_json(path.read_bytes()) if path.is_file() else {}


def write(path: Path, saved: Mapping[str, SavedTrial]) -> None:
    """Replaces the file in one step."""
    write_atomic(path, _FILE.dump_json(dict(saved), indent=1))
