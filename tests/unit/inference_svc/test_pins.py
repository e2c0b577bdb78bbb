"""Adapters that always have a place: those of tenants with a latency objective."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from inference_svc.app import aliases, follower, places
from inference_svc.app.follower import follow_pins
from inference_svc.app.meter import Meter
from inference_svc.app.quota_book import QuotaFile
from inference_svc.domain.quota import Quota
from inference_svc.domain.residency import ResidentState
from inference_svc.telemetry.metric import PrometheusObserver
from shared.base_model import BaseModel
from shared.names import AliasName, RevisionName
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, Replica, let_run, revision, until

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]
CANARY = AliasName("acme", "answer", "canary")
LIVE, UNLOADED = ResidentState.LIVE, ResidentState.UNLOADED


def pinned(replica: Replica) -> set[int]:
    """Numbers of the revisions that are."""
    return {resident.revision.number for resident, _ in replica.fleet.residents("acme") if resident.is_pinned}


class TestPinned:
    """Two places, one of them for good."""

    async def test_is_loaded_and_never_makes_room(self, replica: Replica) -> None:
        """Whatever others are asked for, and however often."""
        replica.fleet.pin({ALIAS})
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()
        for number in (2, 3, 4):
            name = str(replica.publish(number))
            for _ in range(5):
                await replica.use(name)

        assert pinned(replica) == {1}
        assert replica.states() == {1: LIVE, 2: UNLOADED, 3: UNLOADED, 4: LIVE}

    async def test_is_not_closed_for_a_newcomer_either(self, replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where all places are busy another has to become idle, however long that takes."""
        monkeypatch.setattr(places, "_PATIENCE_SECONDS", 0.001)
        replica.fleet.pin({ALIAS})
        replica.fleet.point(ALIAS, replica.publish(1))
        other, newcomer = (str(replica.publish(number)) for number in (2, 3))
        await replica.settle()
        async with replica.fleet.lease(ADAPTER), replica.fleet.lease(other) as busy:
            waiting = asyncio.create_task(replica.use(newcomer))
            while not busy.is_closing:  # noqa: ASYNC110  # time has to pass
                await asyncio.sleep(0.001)
            await asyncio.wait_for(replica.use(ADAPTER), 20)
            assert not waiting.done()
        await waiting

        assert replica.states() == {1: LIVE, 2: UNLOADED, 3: LIVE}

    async def test_is_open_again_when_it_was_about_to_make_room(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A pin that comes while it is closed: its requests do not wait for who wanted its place."""
        monkeypatch.setattr(places, "_PATIENCE_SECONDS", 0.001)
        names = [str(replica.publish(number)) for number in (1, 2, 3)]
        replica.fleet.point(ALIAS, revision(1))
        async with replica.fleet.lease(names[0]), replica.fleet.lease(names[1]):
            first = replica.fleet.known[revision(1)]
            second = replica.fleet.known[revision(2)]
            first.warmth = second.warmth - 1
            newcomer = asyncio.create_task(replica.use(names[2]))
            while not first.is_closing:  # noqa: ASYNC110  # time has to pass
                await asyncio.sleep(0.001)
            replica.fleet.pin({ALIAS})
            await asyncio.wait_for(replica.use(ADAPTER), 5.0)
            while not second.is_closing:  # noqa: ASYNC110  # time has to pass
                await asyncio.sleep(0.001)
            assert not newcomer.done()
        await newcomer

        assert replica.states() == {1: ResidentState.LIVE, 2: ResidentState.UNLOADED, 3: ResidentState.LIVE}

    async def test_takes_the_place_of_another_when_it_comes(self, replica: Replica) -> None:
        """The file may change while the engine is full."""
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()
        for number in (2, 3):
            await replica.use(str(replica.publish(number)))
        assert replica.states()[1] is UNLOADED
        replica.fleet.pin({ALIAS})
        await replica.settle()

        assert replica.states()[1] is LIVE
        assert pinned(replica) == {1}

    async def test_follows_promotions(self, replica: Replica) -> None:
        """The old revision is pinned until the new one serves, and no longer; there and back."""
        replica.fleet.pin({ALIAS})
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()
        replica.engine.gate.clear()
        replica.engine.lie = [5, 6]
        replica.fleet.point(ALIAS, replica.publish(2, canary=(5, 6)))
        await replica.engine.entered.wait()
        during = pinned(replica)
        replica.engine.gate.set()
        await replica.settle()
        after = pinned(replica)
        replica.fleet.point(ALIAS, revision(1))
        await replica.settle()

        assert (during, after, pinned(replica)) == ({1}, {2}, {1})
        assert replica.states() == {1: LIVE, 2: UNLOADED}

    async def test_is_let_go_when_its_pin_is_taken_away(self, replica: Replica) -> None:
        """It makes room like any other then."""
        replica.fleet.pin({ALIAS})
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()
        replica.fleet.pin(set())
        for number in (2, 3):
            await replica.use(str(replica.publish(number)))

        assert pinned(replica) == set()
        assert replica.states() == {1: UNLOADED, 2: LIVE, 3: LIVE}

    async def test_stays_while_another_alias_that_is_pinned_means_it(self, replica: Replica) -> None:
        """Two pins may share a place."""
        replica.fleet._places._count = 3
        replica.fleet.pin({ALIAS, CANARY})
        for alias in (ALIAS, CANARY):
            replica.fleet.point(alias, replica.publish(1) if alias is ALIAS else revision(1))
        await replica.settle()
        replica.fleet.point(CANARY, replica.publish(2))
        await replica.settle()
        apart = pinned(replica)
        replica.fleet.pin({CANARY})

        assert apart == {1, 2}
        assert pinned(replica) == {2}

    async def test_is_back_first_after_a_restart(self, replica: Replica) -> None:
        """Before what was used more lately, which gets what is left."""
        replica.fleet.pin({ALIAS})
        replica.fleet.point(ALIAS, replica.publish(1))
        replica.fleet.point(CANARY, replica.publish(2))
        await replica.settle()
        await replica.use(str(CANARY))
        await replica.fleet.stop()
        replica.engine.adapters.clear()
        replica.fleet = replica.new_fleet()

        replica.fleet.restore()
        replica.fleet.pin({ALIAS})
        await replica.fleet.pinned()

        assert replica.states() == {1: LIVE, 2: ResidentState.REGISTERED}

    async def test_that_is_rejected_keeps_the_one_before(self, replica: Replica) -> None:
        """What a pinned alias means is what serves."""
        replica.fleet.pin({ALIAS})
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()
        replica.fleet.point(ALIAS, replica.publish(2, prompt_digest="sha256:" + "f" * 64))
        await replica.settle()

        assert pinned(replica) == {1}
        assert replica.states() == {1: LIVE, 2: ResidentState.REJECTED}

    async def test_that_is_rejected_for_a_time_is_tried_until_it_serves(
        self, tiny_base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody has to ask for it; its new life is pinned as the one before was, and counted instead of that."""
        monkeypatch.setattr(aliases, "_FIRST_RETRY_SECONDS", 0.001)
        metrics = CollectorRegistry()
        replica = Replica(tiny_base, tmp_path, meter=Meter([PrometheusObserver(metrics, label_sets=10)]))
        replica.engine.refused.add("acme/answer/1")
        replica.engine.refused_seconds = 0.01
        replica.fleet.pin({ALIAS})
        replica.fleet.point(ALIAS, replica.publish(1))
        await until(lambda: replica.states()[1] is ResidentState.REJECTED)
        replica.engine.refused.clear()
        await replica.settle()

        assert replica.states() == {1: LIVE}
        assert pinned(replica) == {1}
        for gauge in ("goldsmith_pinned_revisions", "goldsmith_resident_revisions"):
            counts = {state: metrics.get_sample_value(gauge, {"state": state.value}) for state in ResidentState}
            assert {state: count for state, count in counts.items() if count} == {LIVE: 1.0}

    async def test_is_counted_by_state(self, tiny_base: BaseModel, tmp_path: Path) -> None:
        """An operator is woken by a pinned revision that is not live for long."""
        metrics = CollectorRegistry()
        replica = Replica(tiny_base, tmp_path, meter=Meter([PrometheusObserver(metrics, label_sets=10)]))

        def counts() -> dict[str, float]:
            name = "goldsmith_pinned_revisions"
            found = {state.value: metrics.get_sample_value(name, {"state": state.value}) for state in ResidentState}
            return {state: count for state, count in found.items() if count}

        replica.fleet.pin({ALIAS})
        replica.fleet.point(ALIAS, replica.publish(1))
        before = counts()
        await replica.settle()
        during = counts()
        replica.fleet.pin(set())

        assert (before, during, counts()) == ({"registered": 1.0}, {"live": 1.0}, {})


class TestPinsOfTheFile:
    """The operator's file, while the process runs."""

    async def test_reach_the_fleet_although_nobody_asks_for_anything(
        self,
        replica: Replica,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """The file is looked at from time to time; a broken one changes nothing."""
        monkeypatch.setattr(follower, "_LOOK_SECONDS", 0.001)
        path = tmp_path / "quotas.toml"
        path.write_text("")
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()
        following = asyncio.create_task(follow_pins(QuotaFile(path, Quota(), max_pins=1), replica.fleet))

        path.write_text('[tenants.acme]\npinned_adapters = ["answer"]\n')
        await until(lambda: pinned(replica) == {1})
        path.write_text("[tenants.acme]\npinned_adapters = 1\n")
        await until(lambda: "quotas not changed" in caplog.messages)
        await let_run()
        during = pinned(replica)
        path.write_text("\n\n")
        await until(lambda: pinned(replica) == set())
        following.cancel()

        assert during == {1}

    async def test_of_an_alias_that_nobody_knows_is_told_to_the_operator(
        self,
        tiny_base: BaseModel,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """A misspelt name would pin nothing without a word. One line of the log for all, when they had their time."""
        monkeypatch.setattr(follower, "_LOOK_SECONDS", 0.001)
        monkeypatch.setattr(follower, "_GRACE_SECONDS", 0.0)
        monkeypatch.setattr(follower, "_MAX_NAMED", 2)
        metrics = CollectorRegistry()
        meter = Meter([PrometheusObserver(metrics, label_sets=10)])
        replica = Replica(tiny_base, tmp_path, capacity=5, meter=meter)
        path = tmp_path / "quotas.toml"
        path.write_text('[tenants.acme]\npinned_adapters = ["answer", "d", "c", "b"]\n')
        replica.fleet.point(ALIAS, replica.publish(1))
        following = asyncio.create_task(follow_pins(QuotaFile(path, Quota(), max_pins=4), replica.fleet))

        def lines() -> list[logging.LogRecord]:
            return [record for record in caplog.records if record.message == "pinned aliases are not known"]

        await until(lambda: bool(lines()))
        during = metrics.get_sample_value("goldsmith_unknown_pins")
        replica.fleet.point(AliasName("acme", "d", "live"), RevisionName("acme", "d", 1))
        await let_run()
        after = metrics.get_sample_value("goldsmith_unknown_pins")
        for _ in range(5):
            await asyncio.sleep(0.001)
        following.cancel()
        await replica.fleet.stop()

        (line,) = lines()
        assert line.__dict__["aliases"] == [str(AliasName("acme", name, "live")) for name in ("b", "c")]
        assert line.__dict__["pins"] == 3
        assert (during, after) == (3.0, 2.0)

    async def test_of_an_alias_that_becomes_known_in_time_is_no_fault(
        self, replica: Replica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The registry tells its aliases when the process starts."""
        monkeypatch.setattr(follower, "_LOOK_SECONDS", 0.001)
        path = tmp_path / "quotas.toml"
        path.write_text('[tenants.acme]\npinned_adapters = ["answer"]\n')
        following = asyncio.create_task(follow_pins(QuotaFile(path, Quota(), max_pins=1), replica.fleet))
        await until(lambda: bool(replica.fleet.unknown_pins))
        replica.fleet.point(ALIAS, replica.publish(1))
        monkeypatch.setattr(follower, "_GRACE_SECONDS", 0.0)
        await until(lambda: pinned(replica) == {1})
        await asyncio.sleep(0.01)
        following.cancel()
        await replica.settle()

        assert "pinned aliases are not known" not in caplog.messages
