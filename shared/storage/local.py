"""Blobs in a folder of this machine."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile

from shared.digest import hex_part, sha256_bytes, sha256_file
from shared.errors import DataLoss, Exhausted
from shared.files import sync_folder, write_atomic


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Tells a full disk, which the operator mends, from a bug."""
    try:
        yield
    except OSError as err:
        if err.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Exhausted("QUOTA_EXCEEDED", "the server's disk is full; nothing was changed") from err
        raise


class LocalBlobStore:
    """Implements `BlobStore`; one read-only file a blob, named by its digest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put_bytes(self, data: bytes) -> str:
        """Stores `data`; returns its digest."""
        digest = sha256_bytes(data)
        path = self._path(digest)
        if not path.exists():
            with disk_errors():
                write_atomic(path, data)
        return digest

    def put_file(self, path: Path) -> str:
        """Stores a copy of a file; returns its digest."""
        digest = sha256_file(path)
        final = self._path(digest)
        if final.exists():
            return digest
        with disk_errors(), NamedTemporaryFile(dir=self._folder, prefix=".blob.", delete=False) as copy:
            try:
                with path.open("rb") as source:
                    shutil.copyfileobj(source, copy)
                copy.flush()
                os.fsync(copy.fileno())
                Path(copy.name).replace(final)
            except BaseException:
                Path(copy.name).unlink(missing_ok=True)
                raise
        sync_folder(self._folder)
        return digest

    def read(self, digest: str) -> bytes:
        """The whole blob."""
        return b"".join(self.chunks(digest, 0, 1 << 20))

    def chunks(self, digest: str, offset: int, size: int) -> Iterator[bytes]:
        """The blob from `offset`; the whole file is hashed on the way, so that rot is noticed before the last piece."""
        seen, held = hashlib.sha256(), b""
        try:
            with self._path(digest).open("rb") as file:
                left = offset
                while left and (skipped := file.read(min(left, 1 << 20))):
                    seen.update(skipped)
                    left -= len(skipped)
                while piece := file.read(size):
                    if held:
                        yield held
                    seen.update(piece)
                    held = piece
        except FileNotFoundError as err:
            raise DataLoss("DIGEST_MISMATCH", f"blob {digest} is missing") from err
        if f"sha256:{seen.hexdigest()}" != digest:
            raise DataLoss("DIGEST_MISMATCH", f"blob {digest} does not match its digest any more")
        if held:
            yield held

    def _path(self, digest: str) -> Path:
        return self._folder / hex_part(digest)
