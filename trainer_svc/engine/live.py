"""The revision that serves now, as a run finds it: what its own adapter is held against."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from shared.adapter.package import read_package
from shared.adapter.validate import validate_adapter
from shared.digest import hex_part
from shared.errors import DomainError
from trainer_svc.curation.row_file import load_rows
from trainer_svc.domain.run import RunFolder
from trainer_svc.engine.preparation import Prepared

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveRevision:
    """A package that can answer the run's rows as it answers its own callers."""

    folder: Path
    digest: str
    known: frozenset[tuple[str, str]]
    """Inputs and golden outputs that it was trained on: what it says of these shows nothing."""

    @property
    def name(self) -> str:
        """Of what is kept of it in the run's `Memo`."""
        return f"live-{self.digest}"


def live_revision(ready: Prepared, folder: RunFolder) -> LiveRevision | None:
    """None where nothing serves, or what serves is of another base, prompt template or contract."""
    if not ready.spec.live_revision:
        return None
    try:
        manifest = read_package(folder.live, ready.spec.live_digest)
        validate_adapter(folder.live, manifest, ready.base, max_rank=ready.spec.max_lora_rank)
    except DomainError as err:  # it serves on; it cannot be compared with
        _log.warning("the live revision is not compared with: %s", err)
        return None
    if (manifest.prompt_digest, manifest.contract.digest) != (ready.renderer.digest, ready.contract.spec.digest):
        return None
    rows = load_rows(folder.live_rows.read_bytes()) if folder.live_rows.is_file() else []
    known = frozenset((row.input, row.output) for row in rows)
    return LiveRevision(folder.live, hex_part(manifest.digest)[:16], known)
