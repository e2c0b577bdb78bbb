"""What others feel of a load."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from inference_svc.domain.residency import ResidentState
from shared.errors import StateConflict
from shared.names import RevisionName
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

    @pytest.mark.parametrize(
        ("contract", "words"),
        [
            ("tenants/evil/contracts/answer", "names tenants/evil/contracts/answer, the revision is of tenant acme"),
            ("", "names no contract"),
            ("tenants/acme/adapters/answer", "names no contract"),
        ],
    )
    async def test_refuses_a_package_under_a_contract_of_another_tenant(
        self, replica: Replica, contract: str, words: str
    ) -> None:
        """For ever, before the engine knows it: answers and figures would carry that contract's name."""
        name = replica.publish(1, contract=contract)

        with pytest.raises(StateConflict, match=words) as caught:
            await replica.use(str(name))

        assert caught.value.reason == "ADAPTER_REJECTED"
        assert replica.states() == {1: ResidentState.REJECTED}
        assert not replica.engine.adapters

    async def test_refuses_bytes_of_one_tenant_under_the_name_of_another(self, replica: Replica) -> None:
        """Also when they passed every other check here already."""
        own, foreign = replica.publish(1), RevisionName("evil", "answer", 1)
        replica.registry.packages[foreign] = replica.registry.packages[own]
        replica.registry.digests[foreign] = replica.registry.digests[own]
        await replica.use(str(own))

        with pytest.raises(StateConflict, match="the revision is of tenant evil") as caught:
            await replica.use(str(foreign))

        assert caught.value.reason == "ADAPTER_REJECTED"
        assert replica.states() == {1: ResidentState.LIVE}
