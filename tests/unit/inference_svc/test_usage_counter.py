"""What a request leaves in the ledger."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import pytest
import pytest_asyncio

from inference_svc.app.meter import Meter
from inference_svc.app.progress import Progress
from inference_svc.app.usage_counter import UsageCounter
from inference_svc.domain.generation import Question, Sampling
from inference_svc.domain.ledger import Ledger, UsageEntry
from shared.base_model import BaseModel
from shared.errors import DomainError, InvalidInput
from shared.testing import ManualClock
from shared.usage import hour_of
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, CONTRACT, Replica

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


@dataclasses.dataclass
class Counted:
    """A replica whose requests are counted."""

    replica: Replica
    ledger: Ledger
    clock: ManualClock

    async def ask(self, **changes: object) -> None:
        """One question to the adapter."""
        question = Question(ADAPTER, "is it so?", "", "", None, Sampling(), 20.0)
        await self.replica.answering.answer(dataclasses.replace(question, **changes))  # type: ignore[arg-type]  # fields by name

    @property
    def entry(self) -> UsageEntry:
        """The only one."""
        (entry,) = self.ledger.entries()
        return entry


@pytest_asyncio.fixture
async def counted(tiny_base: BaseModel, tmp_path: Path) -> Counted:
    """One adapter with one revision."""
    numbers, clock = itertools.count(), ManualClock()
    ledger = Ledger(lambda: f"id-{next(numbers)}")
    replica = Replica(tiny_base, tmp_path, meter=Meter((UsageCounter(ledger, clock),)))
    replica.fleet.point(ALIAS, replica.publish(1))
    await replica.settle()
    return Counted(replica, ledger, clock)


class TestAnswer:
    """A request that is answered."""

    async def test_counts_its_tokens_and_what_it_saved(self, counted: Counted) -> None:
        """For the revision that answered, in the hour of its end."""
        await counted.ask()
        call, counts = counted.replica.engine.calls[0], counted.entry.counts

        key = counted.entry.key
        assert (key.tenant, key.adapter, key.revision) == ("acme", "answer", 1)
        assert key.hour == hour_of(counted.clock.now())
        assert (counts.answered_requests, counts.failed_requests) == (1, 0)
        assert counts.prompt_tokens == len(call.prompt_ids)
        assert counts.output_tokens > 1
        assert counts.saved_instruction_tokens == 900
        assert counts.latency_microseconds >= counts.engine_microseconds > 0

    async def test_saves_nothing_with_instructions_of_its_own(self, counted: Counted) -> None:
        """It sends what the adapter makes unnecessary."""
        await counted.ask(instructions="Be brief.")

        assert counted.entry.counts.saved_instruction_tokens == 0

    async def test_at_the_third_attempt_saves_less_than_at_the_first(self, counted: Counted) -> None:
        """The instruction prompt once; what the attempts in vain sent and wrote is no saving."""
        progress = Progress(20.0, tenant="acme", prompt_tokens=40, is_instructed=False, instruction_tokens_saved=900)
        progress.output_millitokens_saved = 2500
        for length in (3, 4, 5):
            progress.next_attempt().take([7] * length, 0)
        UsageCounter(counted.ledger, counted.clock).request_ends(progress, "OK")

        counts = counted.entry.counts
        assert progress.usage().instruction_tokens_saved == 900
        assert (counts.prompt_tokens, counts.output_tokens) == (120, 12)
        assert (counts.saved_instruction_tokens, counts.saved_output_millitokens) == (900 - 80, 2500 - 7000)

    async def test_of_the_base_model_counts_for_its_tenant(self, counted: Counted) -> None:
        """Under no adapter, and saves nothing."""
        await counted.ask(adapter="", contract=CONTRACT)

        key = counted.entry.key
        assert (key.tenant, key.adapter, key.revision) == ("acme", "", 0)
        assert counted.entry.counts.saved_instruction_tokens == 0

    async def test_belongs_to_the_hour_in_which_it_ends(self, counted: Counted) -> None:
        """The border between two hours is the begin of the second."""
        counted.clock.advance(3600 - 0.001)
        await counted.ask()
        counted.clock.advance(0.001)
        await counted.ask()

        first, second = counted.ledger.entries()
        assert second.key.hour == first.key.hour + 1


class TestFailure:
    """A request that is not."""

    async def test_counts_what_it_cost_and_saves_nothing(self, counted: Counted) -> None:
        """An answer that breaks its contract was generated all the same."""
        counted.replica.engine.lie = [3]
        with pytest.raises(DomainError):
            await counted.ask()

        counts = counted.entry.counts
        assert (counts.answered_requests, counts.failed_requests) == (0, 1)
        assert (counts.output_tokens, counts.saved_instruction_tokens) == (1, 0)

    async def test_that_asks_for_what_cannot_be_is_its_adapters(self, counted: Counted) -> None:
        """It is refused before it costs the engine anything, and fails all the same."""
        with pytest.raises(InvalidInput):
            await counted.ask(sampling=Sampling(max_output_tokens=1))

        entry = counted.entry
        assert (entry.key.adapter, entry.key.revision, entry.counts.failed_requests) == ("answer", 1, 1)
        assert (entry.counts.prompt_tokens, entry.counts.engine_microseconds) == (0, 0)

    async def test_about_what_does_not_exist_is_nobodys(self, counted: Counted) -> None:
        """Names that strangers make up grow no ledger."""
        with pytest.raises(DomainError):
            await counted.ask(adapter="tenants/acme/adapters/none")

        assert counted.ledger.entries() == []
