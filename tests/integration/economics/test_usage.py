"""Usage from the request to the ledger, over real sockets: both services and their clients; engines in memory."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable

import pytest
from google.protobuf import timestamp_pb2

from goldsmith.trainer.v1 import economics_pb2 as pb
from goldsmith.trainer.v1 import economics_service_pb2 as service_pb
from goldsmith.trainer.v1 import economics_service_pb2_grpc
from shared.client import InferenceClient
from shared.client.channel import call, open_channel
from shared.errors import InvalidInput
from shared.testing import ManualClock
from tests.economics_house import EconomicsHouse, serve_replica
from tests.integration.economics.house import NOON, run
from tests.unit.inference_svc.conftest import ADAPTER, until
from trainer_svc.translate import economics as translate

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]


class TestUsage:
    """From the request to `ListUsage`."""

    async def test_arrives_by_itself(self, house: EconomicsHouse) -> None:
        """Requests of clients, with an adapter and without, are in the trainer's ledger before long."""
        replica = await house.add_replica(output_tokens_saved=-0.5)
        server, address = await serve_replica(replica)
        running = asyncio.create_task(replica.keeper.run())

        def ask() -> list[int]:
            with InferenceClient(address) as client:
                answers = [client.extract(ADAPTER, text) for text in ("is it so?", "no?", "is it?")]
                return [answer.summary.usage.prompt_tokens for answer in answers]

        prompt_tokens = await asyncio.to_thread(ask)
        await house.until_answered(3)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await server.stop(0)

        (record,) = await house.read(lambda client: list(client.usage(ADAPTER)))
        counts = record.counts
        assert record.revision == f"{ADAPTER}/revisions/1"
        assert (counts.answered_request_count, counts.prompt_token_count) == (3, sum(prompt_tokens))
        assert (counts.saved_instruction_token_count, counts.saved_output_millitoken_count) == (2700, -1500)
        assert counts.latency.ToMicroseconds() >= counts.engine_time.ToMicroseconds() > 0

    async def test_of_two_replicas_adds_up(self, house: EconomicsHouse) -> None:
        """Each counts for itself; the base model counts apart."""
        first, second = await house.add_replica("a"), await house.add_replica("b")
        await first.ask("x", "y")
        await second.ask("x", "y", "z")
        await second.ask("x", adapter="")
        for replica in (first, second):
            await replica.keeper.report()

        records = await house.read(lambda client: list(client.usage("tenants/acme")))
        found = {record.revision: record.counts.answered_request_count for record in records}
        assert found == {"": 1, f"{ADAPTER}/revisions/1": 5}

    async def test_waits_for_a_trainer_that_is_away(self, house: EconomicsHouse) -> None:
        """A replica goes on serving, and tells when it is back."""
        replica = await house.add_replica()
        await house.stop_trainer()
        running = asyncio.create_task(replica.keeper.run())
        await replica.ask("x", "y")
        await until((house.folder / "a" / "ledger.json").is_file)

        await house.start_trainer()
        await house.until_answered(2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        assert await house.answered() == 2

    async def test_outlives_a_trainer_that_starts_anew(self, house: EconomicsHouse) -> None:
        """What was reported twice is there once."""
        replica = await house.add_replica()
        await replica.ask("x")
        told = replica.ledger.unreported()
        await replica.keeper.report()
        replica.ledger.take_up(told)
        await replica.keeper.report()

        assert await house.answered() == 1

    async def test_of_a_clock_that_is_set_back_counts_once(self, house: EconomicsHouse) -> None:
        """In the hours that the clock said, none of them over another."""
        clock = ManualClock(NOON)
        replica = await house.add_replica(clock=clock)
        for seconds in (0, 3600, 3600, -7200, 3600):
            clock.advance(seconds)
            await replica.ask("x")
            await replica.keeper.report()

        records = await house.read(
            lambda client: list(client.usage(ADAPTER, grouping=pb.USAGE_GROUPING_HOUR, start=NOON))
        )
        found = [(record.start_time.ToDatetime().hour, record.counts.answered_request_count) for record in records]
        assert found == [(12, 2), (13, 2), (14, 1)]

    async def test_is_listed_by_the_command(self, house: EconomicsHouse) -> None:
        """A line for each day and revision."""
        replica = await house.add_replica(clock=ManualClock(NOON))
        await replica.ask("x", "y")
        await replica.keeper.report()

        listed = await run("usage", "tenants/acme", "--address", house.address, "--from", "2026-11-20")
        as_json = await run("usage", ADAPTER, "--address", house.address, "--by", "hour", "--json")
        outside = await run("usage", ADAPTER, "--address", house.address, "--until", "2026-11-20", "--json")

        (line,) = (line for line in listed.splitlines() if ADAPTER in line)
        assert line.split()[:5] == ["2026-11-20", "00:00", f"{ADAPTER}/revisions/1", "2", "0"]
        assert json.loads(as_json)["startTime"] == "2026-11-20T12:00:00Z"
        assert outside == ""


class TestHostileReport:
    """`ReportUsage` of somebody who is no replica of ours, but has its credential."""

    @pytest.mark.parametrize(
        ("path", "change"),
        [
            ("replica_id", lambda r: setattr(r, "replica_id", "../x")),
            ("parent", lambda r: setattr(r, "parent", "tenants/-")),
            ("entries[0].adapter_id", lambda r: setattr(r.entries[0], "adapter_id", "../../globex")),
            ("entries[0].hour_time", lambda r: r.entries[0].hour_time.FromSeconds(1_700_000_001)),
            ("entries[0].hour_time", lambda r: r.entries[0].ClearField("hour_time")),
            ("entries[0].hour_time", lambda r: setattr(r.entries[0].hour_time, "seconds", 2**62)),
            ("entries[0].hour_time", lambda r: r.entries[0].hour_time.FromSeconds(-3600)),
            ("entries[0].counts", lambda r: setattr(r.entries[0].counts, "prompt_token_count", -1)),
            ("entries[0].counts", lambda r: setattr(r.entries[0].counts.latency, "seconds", -1)),
            ("entries[0].counts", lambda r: setattr(r.entries[0].counts.latency, "seconds", 2**62)),
            ("entries", lambda r: r.entries.extend([r.entries[0]] * 1000)),
        ],
    )
    async def test_is_refused_whole(
        self, house: EconomicsHouse, path: str, change: Callable[[service_pb.ReportUsageRequest], None]
    ) -> None:
        """With the place of the fault; nothing of it is stored."""
        request = service_pb.ReportUsageRequest(
            parent="tenants/acme", replica_id=str(uuid.uuid4()), entries=[_entry(1_700_002_800), _entry(1_700_006_400)]
        )
        change(request)

        with pytest.raises(InvalidInput) as caught:
            await asyncio.to_thread(_report, house.address, request)

        assert path in {violation.path for violation in caught.value.violations}
        assert await house.answered() == 0

    async def test_that_is_too_long_is_refused_unread(
        self, house: EconomicsHouse, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Hundreds of thousands of entries fit into a message; to read them would hold the loop for seconds."""
        read: list[object] = []
        monkeypatch.setattr(translate, "report", read.append)
        request = service_pb.ReportUsageRequest(
            parent="tenants/acme", replica_id=str(uuid.uuid4()), entries=[_entry(-1)] * 1001
        )

        with pytest.raises(InvalidInput, match="entries: must be 1 to 1,000, got 1,001"):
            await asyncio.to_thread(_report, house.address, request)
        assert read == []

    async def test_that_is_as_large_as_can_be_leaves_the_ledger_readable(self, house: EconomicsHouse) -> None:
        """No sum of what is believed overflows, and an answer has room for it."""
        for hour in range(3):
            entries = [_entry(3600 * (hour * 1000 + number)) for number in range(1000)]
            for entry in entries:
                entry.counts.prompt_token_count = entry.counts.saved_instruction_token_count = 10**13
            request = service_pb.ReportUsageRequest(
                parent="tenants/acme", replica_id=str(uuid.uuid4()), entries=entries
            )
            await asyncio.to_thread(_report, house.address, request)

        found = await house.read(lambda client: client.savings(ADAPTER))
        hours = await house.read(lambda client: list(client.usage(ADAPTER, grouping=pb.USAGE_GROUPING_HOUR)))

        assert found.counts.prompt_token_count == 3 * 10**16
        assert found.instruction_saving == str(3 * 10**16 * 5 // 10**8)
        assert len(hours) == 3000


def _entry(seconds: int) -> pb.UsageEntry:
    return pb.UsageEntry(
        adapter_id="answer", revision_number=1, sequence=1, hour_time=timestamp_pb2.Timestamp(seconds=seconds),
        counts=pb.UsageCounts(answered_request_count=1),
    )  # fmt: skip


def _report(address: str, request: service_pb.ReportUsageRequest) -> None:
    with open_channel(address) as channel:
        call(economics_service_pb2_grpc.EconomicsServiceStub(channel).ReportUsage, request, 20.0)
