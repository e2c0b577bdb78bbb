"""The file that keeps canaries, and verdicts that the registry may not have heard of, across restarts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from inference_svc.app.saver import Saver
from inference_svc.domain.canary_judge import Verdict
from shared.adapter.canary import CanarySplit
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


class CanaryFile:
    """Saved as `Saver` does. `trials` tells what there is now, by alias."""

    def __init__(self, path: Path, trials: Callable[[], dict[str, SavedTrial]]) -> None:
        self._path, self._trials = path, trials
        self._saver = Saver(path, self._snapshot)

    def read(self) -> Mapping[str, SavedTrial]:
        """What was saved last, by alias; nothing where there is no file."""
        return _FILE.validate_json(self._path.read_bytes()) if self._path.is_file() else {}

    def save(self) -> None:
        """Keeps the state of now before long."""
        self._saver.save()

    async def saved(self) -> None:
        """Returns when all that was to be saved is."""
        await self._saver.saved()

    async def stop(self) -> None:
        """Keeps what was reached."""
        await self._saver.stop()

    def _snapshot(self) -> Callable[[], bytes]:
        trials = self._trials()
        return lambda: _FILE.dump_json(trials, indent=1)
