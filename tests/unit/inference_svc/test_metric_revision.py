"""What Prometheus is told of revisions: their loads, promotions and evictions, and the state of each."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from inference_svc.app import roster
from inference_svc.domain.residency import AdapterKey
from shared.adapter.canary import CanarySplit
from shared.base_model import BaseModel
from shared.errors import InternalFault, StateConflict
from tests.unit.inference_svc.conftest import ALIAS, revision
from tests.unit.inference_svc.metered import PAIR, MeteredReplica, ask

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def metered(tiny_base: BaseModel, tmp_path: Path) -> AsyncIterator[MeteredReplica]:
    """A measured replica with one live adapter."""
    async with MeteredReplica.live(tiny_base, tmp_path) as replica:
        yield replica


class TestRevisions:
    """Loads, promotions and evictions."""

    async def test_of_one_load_have_each_stage_once(self, metered: MeteredReplica) -> None:
        """Fetch, verify, load, prove, then live."""
        assert metered.value("adapter_loads_total", **PAIR, outcome="live") == 1.0
        assert {
            stage: metered.value("adapter_load_stage_seconds_count", stage=stage)
            for stage in ("fetch", "verify", "load", "prove")
        } == dict.fromkeys(("fetch", "verify", "load", "prove"), 1.0)
        assert metered.states() == {"live": 1.0}
        assert metered.value("alias_flips_total", **PAIR) == 1.0

    async def test_that_are_rejected_are_counted_and_flip_nothing(self, metered: MeteredReplica) -> None:
        """The one before goes on to serve."""
        metered.fleet.point(ALIAS, metered.publish(2, prompt_digest="sha256:" + "f" * 64))
        await metered.settle()

        assert metered.value("adapter_loads_total", **PAIR, outcome="rejected") == 1.0
        assert metered.states() == {"live": 1.0, "rejected": 1.0}
        assert metered.value("alias_flips_total", **PAIR) == 1.0

    async def test_that_are_rejected_for_a_time_are_counted_once_when_they_come_back(
        self, metered: MeteredReplica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Their second life is another resident, which takes the place of the first."""
        metered.publish(2)

        async def barred(key: AdapterKey) -> None:
            raise StateConflict("ADAPTER_REJECTED", "barred", retry_after_seconds=0.0)

        with monkeypatch.context() as patch:
            patch.setattr(metered.engine, "add_adapter", barred)
            with pytest.raises(StateConflict):
                await metered.answering.answer(ask(str(revision(2))))
        rejected = metered.states()
        await metered.answering.answer(ask(str(revision(2))))

        assert rejected == {"live": 1.0, "rejected": 1.0}
        assert metered.states() == {"live": 2.0}

    async def test_that_cannot_be_loaded_now_have_failed(self, metered: MeteredReplica) -> None:
        """A registry that is away rejects nothing; the next load of the revision is another one."""
        name = metered.publish(2)
        package = metered.registry.packages.pop(name)
        with pytest.raises(KeyError):
            await metered.answering.answer(ask(str(revision(2))))
        metered.registry.packages[name] = package
        await metered.answering.answer(ask(str(revision(2))))

        assert metered.value("adapter_loads_total", **PAIR, outcome="failed") == 1.0
        assert metered.value("adapter_loads_total", **PAIR, outcome="live") == 2.0
        assert metered.states() == {"live": 2.0}

    async def test_that_replace_each_other_are_swaps(self, metered: MeteredReplica) -> None:
        """There and back; pointing at what serves already is none."""
        metered.fleet.point(ALIAS, metered.publish(2))
        await metered.settle()
        metered.fleet.point(ALIAS, revision(1))
        await metered.settle()
        metered.fleet.point(ALIAS, revision(1))
        await metered.settle()

        assert metered.value("alias_flips_total", **PAIR) == 3.0
        assert metered.states() == {"live": 1.0, "unloaded": 1.0}

    async def test_that_are_taken_back_as_canaries_are_counted(self, metered: MeteredReplica) -> None:
        """Once, by that in which they were worse."""
        split = CanarySplit(metered.publish(2), 50)
        metered.fleet.point(ALIAS, revision(1), split)
        await metered.settle()
        while metered.fleet.canary_shares(revision(2)) != [(str(ALIAS), 50)]:  # noqa: ASYNC110  # it is being loaded
            await asyncio.sleep(0.001)
        metered.engine.broken.add("acme/answer/2")
        for _ in range(60):
            with contextlib.suppress(InternalFault):
                await metered.answering.answer(ask())

        assert metered.value("canary_rollbacks_total", **PAIR, reason="error_rate") == 1.0

    async def test_that_make_room_for_another_are_evictions(self, metered: MeteredReplica) -> None:
        """With room for two, the third load unloads one."""
        for number in (2, 3):
            metered.publish(number)
            await metered.answering.answer(ask(str(revision(number))))

        assert metered.value("adapter_evictions_total", **PAIR) == 1.0
        assert metered.states() == {"live": 2.0, "unloaded": 1.0}

    async def test_that_are_forgotten_are_counted_no_more(
        self, metered: MeteredReplica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The states are those of the revisions that this replica still lists, however many it has seen."""
        monkeypatch.setattr(roster, "_MAX_REMEMBERED", 2)
        for number in range(2, 9):
            metered.publish(number)
            await metered.answering.answer(ask(str(revision(number))))

        listed = Counter(resident.state.value for resident, _ in metered.fleet.residents("acme"))

        assert listed.total() < 8
        assert metered.states() == listed
