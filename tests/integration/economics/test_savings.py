"""Usage from the ledger to the balance, over real sockets."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from goldsmith.trainer.v1 import economics_pb2 as pb
from goldsmith.trainer.v1 import training_job_pb2
from shared.errors import InvalidInput, NotFound
from shared.testing import ManualClock
from tests.economics_house import DATASET, JOB, EconomicsHouse
from tests.integration.economics.house import FAILED, NOON, run
from tests.unit.inference_svc.conftest import ADAPTER

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]


class TestSavings:
    """`GetSavings`."""

    async def test_counts_every_job_that_ran(self, house: EconomicsHouse) -> None:
        """The one that failed is part of the price of the one that did not; one that waits has cost nothing."""
        replica = await house.add_replica()
        await replica.ask("x", "y")
        await replica.keeper.report()

        found = await house.read(lambda client: client.savings(ADAPTER))

        assert [(cost.job, cost.cost, cost.state) for cost in found.training] == [
            (FAILED.name, "0.225", training_job_pb2.TRAINING_JOB_STATE_FAILED),
            (JOB, "0.45", training_job_pb2.TRAINING_JOB_STATE_SUCCEEDED),
        ]
        assert [(cost.dataset, cost.teacher, cost.cost) for cost in found.labelling] == [(DATASET, "large", "0.6")]
        assert (found.training_cost, found.labelling_cost, found.currency) == ("0.675", "0.6", "EUR")
        assert (found.saving, found.net) == ("0.00009", "-1.27491")
        assert found.break_even.request_count == 28334
        assert found.break_even.HasField("time")
        assert not found.unknown_reasons

    async def test_of_a_revision_counts_the_job_that_made_it(self, house: EconomicsHouse) -> None:
        """And no other."""
        name = f"{ADAPTER}/revisions/1"
        found = await house.read(lambda client: client.savings(ADAPTER, revision=name))

        assert [cost.job for cost in found.training] == [JOB]
        assert (found.revision, found.break_even.unknown_reason) == (name, "no request was answered")

    async def test_asks_what_if(self, house: EconomicsHouse) -> None:
        """Prices of the request take the place of the operator's in this answer, which says so, and in no other."""
        replica = await house.add_replica()
        await replica.ask("x")
        await replica.keeper.report()
        dear = pb.TokenPrices(per_million_prompt_tokens="1000", instruction_cache_percent=0)

        found = await house.read(lambda client: client.savings(ADAPTER, prices=dear))
        later = await house.read(lambda client: client.savings(ADAPTER))

        assert (found.what_if, found.saving, found.prices.per_million_output_tokens) == (True, "0.9", "1.5")
        assert (later.what_if, later.saving) == (False, "0.000045")

    @pytest.mark.parametrize(
        ("name", "revision", "prices", "kind"),
        [
            ("tenants/acme/adapters/none", "", None, NotFound),
            (ADAPTER, f"{ADAPTER}/revisions/9", None, NotFound),
            (ADAPTER, "tenants/acme/adapters/another/revisions/1", None, InvalidInput),
            (ADAPTER, "", pb.TokenPrices(per_million_prompt_tokens="-1"), InvalidInput),
            (ADAPTER, "", pb.TokenPrices(instruction_cache_percent=101), InvalidInput),
        ],
    )
    async def test_refuses_what_is_not_there_and_what_is_no_price(
        self, house: EconomicsHouse, name: str, revision: str, prices: pb.TokenPrices | None, kind: type[Exception]
    ) -> None:
        """Before anything is counted."""
        with pytest.raises(kind):
            await house.read(lambda client: client.savings(name, revision=revision, prices=prices))

    async def test_of_a_period_counts_on_from_the_first_request(self, house: EconomicsHouse) -> None:
        """What was answered before the period has saved, too: only the average is the period's."""
        now = datetime.now(UTC)
        replica = await house.add_replica(clock=ManualClock(now - timedelta(hours=2)))
        await replica.ask("x", "y")
        await replica.keeper.report()
        later = await house.add_replica("b")
        await later.ask("x")
        await later.keeper.report()

        found = await house.read(lambda client: client.savings(ADAPTER, start=now - timedelta(hours=1)))

        assert found.counts.answered_request_count == 1
        assert any(line.startswith("break-even in days = (28,334 - 3) /") for line in found.formula)

    async def test_refuses_a_period_that_ends_before_it_begins(self, house: EconomicsHouse) -> None:
        """Nobody means that."""
        with pytest.raises(InvalidInput, match="end_time"):
            await house.read(lambda client: client.savings(ADAPTER, start=NOON, end=datetime(2026, 1, 1, tzinfo=UTC)))

    async def test_is_shown_by_the_command_with_its_formula(self, house: EconomicsHouse) -> None:
        """Every line of the formula is on the screen, of an adapter and of a revision; the JSON has it all."""
        replica = await house.add_replica()
        await replica.ask("x")
        await replica.keeper.report()

        shown = await run("savings", ADAPTER, "--address", house.address)
        of_revision = await run("savings", f"{ADAPTER}/revisions/1", "--address", house.address)
        body = json.loads(await run("savings", ADAPTER, "--address", house.address, "--json"))

        assert body["formula"]
        assert all(line in shown for line in body["formula"])
        assert "28,334 requests" in shown
        assert "training cost = sum of 1 jobs = 0.45 EUR" in of_revision
