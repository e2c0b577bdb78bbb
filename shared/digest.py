"""Content digests: always the text `sha256:<64 hex digits>`."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

_PREFIX = "sha256:"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def is_digest(text: str) -> bool:
    """Whether `text` is a well-formed digest."""
    return _DIGEST.fullmatch(text) is not None


def sha256_bytes(data: bytes) -> str:
    """Digest of `data`."""
    return _PREFIX + hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Digest of a file's content, read in blocks."""
    with path.open("rb") as file:
        return _PREFIX + hashlib.file_digest(file, "sha256").hexdigest()


def hex_part(digest: str) -> str:
    """The 64 hex digits, safe as a file name."""
    assert is_digest(digest), digest
    return digest.removeprefix(_PREFIX)
