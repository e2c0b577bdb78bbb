"""A replica that is killed with SIGKILL, again and again: nothing is counted twice, and little is lost."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from shared.base_model import BaseModel
from tests.economics_house import EconomicsHouse, open_economics

_LIVES = 6
pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]


@pytest_asyncio.fixture
async def house(tiny_base: BaseModel, tmp_path: Path) -> AsyncIterator[EconomicsHouse]:
    """A trainer that runs all the time."""
    async with open_economics(tiny_base, tmp_path) as own:
        yield own


def _live(folder: Path, trainer: str, requests: int) -> int:
    """Counts at least so many requests, then dies; how many it began to count."""
    command = [sys.executable, "-m", "tests.counting_process", str(folder), trainer]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = list(itertools.islice(process.stdout, requests))
        process.kill()
        told += list(process.stdout)
    return int(told[-1])


def _saved(folder: Path) -> Counter[str]:
    """Requests in the file by the id of the process that counted them."""
    path, found = folder / "ledger.json", Counter[str]()
    for entry in json.loads(path.read_bytes())["entries"] if path.is_file() else ():
        found[entry["key"]["replica_id"]] += entry["counts"]["answered_requests"]
    return found


class TestKill:
    """SIGKILL at any moment."""

    async def test_counts_nothing_twice_and_loses_only_what_was_not_on_disk(self, house: EconomicsHouse) -> None:
        """The next process tells what the last one left, as often as it takes.

        What is on disk when a process dies arrives in full; what it counted afterwards may or may not have.
        """
        folder, moments = house.folder / "killed", random.Random(6)
        began, safe = 0, Counter[str]()
        for _ in range(_LIVES):
            began += await asyncio.to_thread(_live, folder, house.address, moments.randint(20, 400))
            for replica, requests in _saved(folder).items():
                safe[replica] = max(safe[replica], requests)
        ended = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "tests.counting_process", str(folder), house.address, "end"],
            check=True,
        )

        assert ended.returncode == 0
        assert 0 < safe.total() <= await house.answered() <= began
        assert _saved(folder).total() == 0
