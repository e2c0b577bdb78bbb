"""What a replica tells of its adapters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from goldsmith.inference.v1 import inference_service_pb2
from shared.cli.main import app
from shared.client import InferenceClient
from shared.errors import Unavailable
from tests.integration.inference.house import House
from tests.unit.inference_svc.conftest import ALIAS

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


class TestAdapters:
    """What a replica tells of its adapters, over the socket and on the command line."""

    async def test_a_watch_follows_a_promotion_to_its_end(self, house: House) -> None:
        """From the first state to LIVE under its alias; what the list says then is the same."""
        seen: list[inference_service_pb2.ResidentAdapter] = []

        def follow(client: InferenceClient) -> None:
            for adapter in client.watch_resident_adapters("tenants/acme", timeout_seconds=30):
                seen.append(adapter)
                if adapter.aliases and adapter.state == inference_service_pb2.RESIDENT_ADAPTER_STATE_LIVE:
                    return

        watching = asyncio.create_task(house.ask(follow))
        house.replica.fleet.point(ALIAS, house.replica.publish(1))
        await watching
        listed = await house.ask(lambda client: client.resident_adapters("tenants/acme"))

        assert seen[-1].state == inference_service_pb2.RESIDENT_ADAPTER_STATE_LIVE
        assert list(seen[-1].aliases) == [str(ALIAS)]
        assert listed == seen[-1:]

    async def test_a_watch_ends_when_the_replica_drains(self, house: House) -> None:
        """With UNAVAILABLE, so that a client tries another one."""
        loop = asyncio.get_running_loop()

        def follow(client: InferenceClient) -> None:
            for _ in client.watch_resident_adapters("tenants/acme", timeout_seconds=30):
                loop.call_soon_threadsafe(house.replica.fleet.close_watches)

        house.replica.fleet.point(ALIAS, house.replica.publish(1))
        with pytest.raises(Unavailable, match="drains"):
            await house.ask(follow)

    async def test_the_command_lists_and_watches_them(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """One line for each; a watch that is cut off ends with 1 and says why."""
        house.replica.fleet.point(ALIAS, house.replica.publish(1))
        await house.replica.settle()
        house.replica.fleet.point(ALIAS, house.replica.publish(2, prompt_digest="sha256:" + "f" * 64))
        await house.replica.settle()

        def run(*options: str) -> Result:
            env = {"COLUMNS": "250", "NO_COLOR": "1", "TERM": "dumb"}
            return CliRunner().invoke(app, ["adapters", "tenants/acme", "--address", house.address, *options], env=env)

        told, watch = asyncio.Event(), house.replica.fleet.watch

        async def counted(tenant: str) -> AsyncIterator[Any]:
            count = 0
            async for line in watch(tenant):
                yield line
                count += 1  # the reader asks for the next
                if count == 2:
                    told.set()

        monkeypatch.setattr(house.replica.fleet, "watch", counted)
        listed = await asyncio.to_thread(run)
        watching = asyncio.create_task(asyncio.to_thread(run, "--watch"))
        await told.wait()
        house.replica.fleet.close_watches()
        watched = await watching

        assert (listed.exit_code, watched.exit_code) == (0, 1), listed.output + watched.output
        for shown in (listed.stdout, watched.stdout):
            first, second = (line for line in shown.splitlines() if "/revisions/" in line)
            assert "live" in first
            assert str(ALIAS) in first
            assert "rejected" in second
            assert "BASE_MODEL_MISMATCH" in second
        assert "NOT_SERVING" in watched.stderr
