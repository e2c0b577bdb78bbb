"""Adapters that may not enter this replica's engine any more: a small file, by the digest of their content."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError, with_config

from inference_svc.domain.residency import quarantined
from shared.clock import Clock
from shared.digest import is_digest
from shared.errors import FieldViolation, InvalidInput
from shared.files import write_atomic
from shared.names import RevisionName

_log = logging.getLogger(__name__)


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True)
class Entry:
    """Why and when, for whoever finds it in the file."""

    revision: str
    """Where the content was found out; the digest is barred under every name."""
    reason: str
    time: str
    """RFC 3339, UTC."""


def _digest(text: str) -> str:
    if not is_digest(text):
        raise ValueError("must be sha256: and 64 hex digits")
    return text


_FILE = TypeAdapter(dict[Annotated[str, AfterValidator(_digest)], Entry])


class Quarantine:
    """Outlives the process. An operator who knows better deletes an entry, or the file, and restarts the service."""

    def __init__(self, file: Path, clock: Clock) -> None:
        """Raises `InvalidInput` for a file with any fault: to pass over it silently would let somebody in again."""
        self._file, self._clock = file, clock
        self._entries = _read(file) if file.is_file() else {}

    def check(self, digest: str) -> None:
        """Raises `StateConflict` (ADAPTER_QUARANTINED), saying why, for content that is barred."""
        if digest in self._entries:
            raise quarantined(self._entries[digest].reason)

    def add(self, digest: str, revision: RevisionName, reason: str) -> None:
        """Bars it from now on. Idempotent. A disk that is full is logged: the bar then lasts as long as the process."""
        if digest in self._entries:
            return
        self._entries[digest] = Entry(str(revision), reason, self._clock.now().isoformat(timespec="seconds"))
        _log.error("adapter quarantined", extra={"revision": str(revision), "digest": digest, "detail": reason})
        body = {found: asdict(entry) for found, entry in self._entries.items()}
        try:
            write_atomic(self._file, json.dumps(body, indent=1).encode())
        except OSError:
            _log.exception("quarantine not stored", extra={"digest": digest})


def _read(file: Path) -> dict[str, Entry]:
    """What is barred, by digest. Raises `InvalidInput` (FIELD_INVALID) with every fault."""
    try:
        return _FILE.validate_json(file.read_bytes())
    except ValidationError as err:
        found = [FieldViolation(".".join(str(part) for part in e["loc"]), e["msg"]) for e in err.errors()]
        text = "; ".join(f"{v.path}: {v.description}" if v.path else v.description for v in found)
        raise InvalidInput(
            "FIELD_INVALID", f"{file} is no list of quarantined adapters: {text}", hint="mend it, or delete it",
            violations=found,
        ) from err  # fmt: skip
