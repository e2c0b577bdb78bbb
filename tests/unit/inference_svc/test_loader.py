"""What others feel of a load."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.inference_svc.conftest import Replica, let_run

pytestmark = pytest.mark.asyncio


class TestLoader:
    """A load beside requests of others."""

    async def test_proves_one_canary_at_a_time(self, replica: Replica) -> None:
        """All at once would slow every step of the engine down for those who are served already."""
        name = str(replica.publish(1, canary=(5, 6), canaries=3))
        replica.engine.gate.clear()
        asked = asyncio.create_task(replica.use(name))
        await replica.engine.entered.wait()
        await let_run()
        begun = len(replica.engine.calls)

        replica.engine.gate.set()
        await asyncio.gather(asked, return_exceptions=True)

        assert begun == 1
        assert len(replica.engine.calls) == 3

    async def test_makes_and_removes_no_folder_on_the_event_loop(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Either may wait for the disk for half a second, and every request with it."""
        names, makers = [str(replica.publish(number)) for number in (1, 2)], set[threading.Thread]()
        make: Callable[..., None] = Path.mkdir

        def noting(path: Path, *args: object, **options: object) -> None:
            makers.add(threading.current_thread())
            make(path, *args, **options)

        monkeypatch.setattr(Path, "mkdir", noting)

        for name in names:
            await replica.use(name)

        assert makers
        assert threading.main_thread() not in makers
