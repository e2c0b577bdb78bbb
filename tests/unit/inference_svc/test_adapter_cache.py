"""Packages on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inference_svc.app.adapter_cache import AdapterCache

pytestmark = pytest.mark.asyncio
DIGESTS = [f"sha256:{number:064x}" for number in range(4)]
SIZE = 100


async def _fill(cache: AdapterCache, digest: str, age: int) -> Path:
    async with cache.scratch() as temporary:
        (temporary / "weights").write_bytes(b"x" * SIZE)
        folder = cache.publish(temporary, digest)
    os.utime(folder, (1_000_000 - age, 1_000_000 - age))
    return folder


async def _fail_in(cache: AdapterCache) -> None:
    async with cache.scratch() as temporary:
        (temporary / "weights").write_bytes(b"x")
        raise OSError("full")


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


class TestAdapterCache:
    """Bounded, and whole or absent."""

    async def test_what_was_used_longest_ago_goes_first(self, tmp_path: Path) -> None:
        """Until the rest fits; finding a package is a use of it."""
        cache = AdapterCache(tmp_path, 2 * SIZE)
        for age, digest in enumerate(DIGESTS):
            await _fill(cache, digest, age)
        cache.find(DIGESTS[3])

        cache.trim(set())

        assert [cache.find(digest) is not None for digest in DIGESTS] == [True, False, False, True]
        assert len(_names(tmp_path)) == 2

    async def test_what_is_in_use_stays(self, tmp_path: Path) -> None:
        """Even when it alone is too large: the engine may read it."""
        cache = AdapterCache(tmp_path, 0)
        for age, digest in enumerate(DIGESTS):
            await _fill(cache, digest, age)

        cache.trim({DIGESTS[1], DIGESTS[3]})

        assert [cache.find(digest) is not None for digest in DIGESTS] == [False, True, False, True]

    async def test_a_fetch_that_fails_leaves_nothing(self, tmp_path: Path) -> None:
        """Nor does a process that was killed in the middle of one: the next removes what it finds."""
        cache = AdapterCache(tmp_path, SIZE)
        with pytest.raises(OSError, match="full"):
            await _fail_in(cache)
        assert _names(tmp_path) == []
        killed = tmp_path / ".fetch-0123"
        killed.mkdir()
        (killed / "weights").write_bytes(b"x")

        AdapterCache(tmp_path, SIZE)

        assert _names(tmp_path) == []
        assert cache.find(DIGESTS[0]) is None
