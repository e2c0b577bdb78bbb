"""What every blob store does; runs on each implementation."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.digest import sha256_bytes
from shared.errors import DataLoss, Exhausted
from shared.storage.base import BlobStore
from shared.storage.local import LocalBlobStore

STORES: dict[str, Callable[[Path], BlobStore]] = {"local": LocalBlobStore}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    """An empty store."""
    return STORES[request.param](tmp_path / "blobs")


class TestBlobStore:
    """Bytes in, the same bytes out."""

    @pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 5000])
    def test_gives_back_what_was_put(self, store: BlobStore, data: bytes, tmp_path: Path) -> None:
        """Under the digest of the content, from memory or from a file, however often it is put."""
        (tmp_path / "file").write_bytes(data)

        digests = {store.put_bytes(data), store.put_bytes(data), store.put_file(tmp_path / "file")}

        assert digests == {sha256_bytes(data)}
        assert store.read(digests.pop()) == data

    @pytest.mark.parametrize("offset", [0, 1, 99, 100, 101])
    def test_reads_from_an_offset_in_pieces(self, store: BlobStore, offset: int) -> None:
        """Pieces join to the rest of the blob; past the end there is none."""
        data = bytes(range(100))
        pieces = list(store.chunks(store.put_bytes(data), offset, 7))

        assert b"".join(pieces) == data[offset:]
        assert all(0 < len(piece) <= 7 for piece in pieces)

    def test_a_missing_blob_is_data_loss(self, store: BlobStore) -> None:
        """Its name was given out once, so its bytes are gone."""
        with pytest.raises(DataLoss):
            store.read(sha256_bytes(b"never stored"))


class TestLocalBlobStore:
    """What can go wrong on a disk."""

    def test_rot_is_noticed_before_the_last_piece(self, tmp_path: Path) -> None:
        """A flipped bit never leaves the store as a whole blob, whatever part is read."""
        store = LocalBlobStore(tmp_path)
        digest = store.put_bytes(b"a" * 100)
        path = next(tmp_path.iterdir())
        path.write_bytes(b"a" * 99 + b"b")

        for offset in (0, 50):
            with pytest.raises(DataLoss):
                list(store.chunks(digest, offset, 10))

    def test_a_full_disk_changes_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The caller is told, and no partial file stays."""
        store = LocalBlobStore(tmp_path / "blobs")
        (tmp_path / "file").write_bytes(b"data")

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(Exhausted):
            store.put_bytes(b"data")
        with pytest.raises(Exhausted):
            store.put_file(tmp_path / "file")

        assert list((tmp_path / "blobs").iterdir()) == []
