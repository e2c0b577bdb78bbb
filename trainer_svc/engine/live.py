"""The revision that serves now, as a run finds it: what its own adapter is held against."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from shared.adapter.package import read_package
from shared.adapter.validate import validate_adapter
from shared.errors import DomainError
from trainer_svc.domain.plan import RANKS
from trainer_svc.domain.run import RunFolder
from trainer_svc.engine.preparation import Prepared

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveRevision:
    """A package that can answer the run's rows as it answers its own callers."""

    folder: Path
    digest: str


def live_revision(ready: Prepared, folder: RunFolder) -> LiveRevision | None:
    """None where nothing serves, or what serves is of another base, prompt template or contract."""
    if not ready.spec.live_revision:
        return None
    try:
        manifest = read_package(folder.live)
        validate_adapter(folder.live, manifest, ready.base, max_rank=max(RANKS))
    except DomainError as err:  # it serves on; it cannot be compared with
        _log.warning("the live revision is not compared with: %s", err)
        return None
    if (manifest.prompt_digest, manifest.contract.digest) != (ready.renderer.digest, ready.contract.spec.digest):
        return None
    return LiveRevision(folder.live, manifest.digest.partition(":")[2][:16])
