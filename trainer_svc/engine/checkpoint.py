"""Resume state on disk: which checkpoints are whole, byte for byte. It holds pickles and never leaves its folder."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path

from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from shared.digest import sha256_file
from shared.files import sync_folder, write_atomic

_log = logging.getLogger(__name__)

_SEAL = "seal.json"
"""Digests of a checkpoint's files, written after all of them: without it, or with other bytes, none resumes from it."""


def checkpoint_folder(checkpoints: Path, step: int) -> Path:
    """Where transformers puts the checkpoint of a step."""
    return checkpoints / f"{PREFIX_CHECKPOINT_DIR}-{step}"


def seal(folder: Path) -> None:
    """Marks a checkpoint as written to its end, durably."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    digests = {str(path.relative_to(folder)): sha256_file(path) for path in files}
    write_atomic(folder / _SEAL, json.dumps(digests).encode())
    sync_folder(folder.parent)


def last_whole(checkpoints: Path) -> Path | None:
    """The newest checkpoint whose bytes are those that were sealed; torn and damaged ones are removed."""
    folders = checkpoints.glob(f"{PREFIX_CHECKPOINT_DIR}-*") if checkpoints.is_dir() else ()
    for folder in sorted(folders, key=_step, reverse=True):
        if _is_whole(folder):
            return folder
        _log.warning("checkpoint is torn or damaged, removed", extra={"checkpoint": folder.name})
        shutil.rmtree(folder)
    return None


def _step(folder: Path) -> int:
    return int(folder.name.rsplit("-", 1)[1])


def _is_whole(folder: Path) -> bool:
    try:
        digests: dict[str, str] = json.loads((folder / _SEAL).read_bytes())
    except (OSError, ValueError):
        return False
    return all((folder / name).is_file() and sha256_file(folder / name) == digest for name, digest in digests.items())
