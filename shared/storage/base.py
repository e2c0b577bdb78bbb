"""What a store of immutable bytes can do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol


class BlobStore(Protocol):
    """Blobs named by the digest of their content; written once, never changed, visible only when whole."""

    def put_bytes(self, data: bytes) -> str:
        """Stores `data`; returns its digest. Idempotent. Raises `Exhausted` (QUOTA_EXCEEDED) on a full disk."""

    def put_file(self, path: Path) -> str:
        """Stores a copy of a file; returns its digest. As `put_bytes`."""

    def read(self, digest: str) -> bytes:
        """The whole blob. Raises `DataLoss` (DIGEST_MISMATCH) when it is missing or rotted."""

    def chunks(self, digest: str, offset: int, size: int) -> Iterator[bytes]:
        """The blob from `offset` in pieces of at most `size` bytes; raises as `read`, before the last piece."""
