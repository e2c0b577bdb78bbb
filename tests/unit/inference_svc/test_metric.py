"""What Prometheus is told of requests: counters by tenant and adapter, times, and within which bounds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from inference_svc.app.meter import Meter
from inference_svc.app.progress import Progress
from inference_svc.telemetry.metric import PrometheusObserver
from shared.base_model import BaseModel
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import DeadlineExceeded, Exhausted, InternalFault, NotFound, StateConflict
from shared.names import AliasName
from tests.unit.inference_svc.conftest import ALIAS, CONTRACT, Replica, let_run, revision
from tests.unit.inference_svc.metered import PAIR, MeteredReplica, ask

pytestmark = pytest.mark.asyncio
BASE = {"tenant": "acme", "adapter": ""}
NOBODY = {"tenant": "", "adapter": ""}
LETTER = ContractSpec(ContractKind.JSON, json_schema='{"type":"string","maxLength":1}')
UNIQUE = ContractSpec(ContractKind.JSON, json_schema='{"type":"array","items":{"type":"object"},"uniqueItems":true}')


class Keeping(PrometheusObserver):
    """Keeps what requests noted of themselves."""

    def __init__(self, registry: CollectorRegistry, *, label_sets: int) -> None:
        super().__init__(registry, label_sets=label_sets)
        self.kept: list[Progress] = []

    def request_begins(self, progress: Progress) -> None:
        """Counts it, too."""
        super().request_begins(progress)
        self.kept.append(progress)


@pytest_asyncio.fixture
async def metered(tiny_base: BaseModel, tmp_path: Path) -> AsyncIterator[MeteredReplica]:
    """A measured replica with one live adapter."""
    async with MeteredReplica.live(tiny_base, tmp_path) as replica:
        yield replica


class TestRequests:
    """One request each."""

    async def test_that_is_answered_counts_its_tokens(self, metered: MeteredReplica) -> None:
        """Those that its answer's own usage says, and the prompt that the adapter made unnecessary."""
        answer = await metered.answering.answer(ask())

        assert metered.outcomes(**PAIR) == {"OK": 1.0}
        assert metered.value("prompt_tokens_total", **PAIR) == answer.usage.prompt_tokens > 0
        assert metered.value("output_tokens_total", **PAIR) == answer.usage.output_tokens > 0
        assert metered.value("saved_prompt_tokens_total", **PAIR) == 900.0
        assert metered.value("format_retries_total", **PAIR) == 0.0
        assert metered.value("invalid_outputs_total", **PAIR) == 0.0
        assert metered.value("requests_in_progress") == 0.0

    async def test_of_an_adapter_whose_prompt_is_longer_ends_like_any_other(
        self, tiny_base: BaseModel, tmp_path: Path
    ) -> None:
        """The answer says so; a counter cannot fall."""
        replica = MeteredReplica.of(tiny_base, tmp_path)
        replica.instruction_tokens = -17
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()
        answer = await replica.answering.answer(ask())

        assert answer.usage.instruction_tokens_saved == -17
        assert replica.outcomes(**PAIR) == {"OK": 1.0}
        assert replica.value("saved_prompt_tokens_total", **PAIR) == 0.0
        assert replica.value("requests_in_progress") == 0.0

    async def test_of_the_base_model_has_no_adapter(self, metered: MeteredReplica) -> None:
        """The tenant is the contract's; nothing is saved."""
        await metered.answering.answer(ask("", contract=CONTRACT))

        assert metered.outcomes(**BASE) == {"OK": 1.0}
        assert metered.value("saved_prompt_tokens_total", **BASE) == 0.0

    async def test_that_names_nothing_known_makes_no_series_of_that_name(self, metered: MeteredReplica) -> None:
        """Anybody can ask for adapters that do not exist."""
        for number in range(50):
            with pytest.raises(NotFound):
                await metered.answering.answer(ask(f"tenants/t{number}/adapters/a{number}"))

        assert metered.outcomes(**NOBODY) == {"ADAPTER_NOT_FOUND": 50.0}
        assert metered.outcomes() == {"ADAPTER_NOT_FOUND": 50.0}

    async def test_that_takes_three_attempts_counts_two_retries(self, metered: MeteredReplica) -> None:
        """The tokens of failed attempts were spent, and are counted."""
        metered.registry.specs[CONTRACT + "s"] = UNIQUE
        twins, pair = '[{"a":1},{"a":1}]', '[{"a":1},{"a":2}]'
        metered.engine.script = [metered.renderer.completion_ids(text) for text in (twins, twins, pair)]

        answer = await metered.answering.answer(ask("", contract=CONTRACT + "s"))

        assert answer.attempt_count == 3
        assert metered.value("format_retries_total", **BASE) == 2.0
        assert metered.value("output_tokens_total", **BASE) == answer.usage.output_tokens
        assert metered.value("engine_seconds_count") == 3.0
        assert metered.value("check_seconds_count") == 3.0

    async def test_that_never_passes_its_check_is_no_broken_guarantee(self, metered: MeteredReplica) -> None:
        """A contract with checked keywords promised no more."""
        metered.registry.specs[CONTRACT + "s"] = UNIQUE
        metered.engine.script = [metered.renderer.completion_ids('[{"a":1},{"a":1}]')] * 3

        with pytest.raises(StateConflict):
            await metered.answering.answer(ask("", contract=CONTRACT + "s"))

        assert metered.outcomes(**BASE) == {"FORMAT_CHECK_FAILED": 1.0}
        assert metered.value("invalid_outputs_total", **BASE) == 0.0

    async def test_whose_output_breaks_a_guarantee_is_counted_apart(self, metered: MeteredReplica) -> None:
        """This counter must stay 0 in production."""
        metered.engine.lie = metered.renderer.completion_ids('"maybe"')

        with pytest.raises(InternalFault):
            await metered.answering.answer(ask())

        assert metered.outcomes(**PAIR) == {"GUARANTEE_BROKEN": 1.0}
        assert metered.value("invalid_outputs_total", **PAIR) == 1.0

    async def test_that_runs_is_in_progress(self, metered: MeteredReplica) -> None:
        """Until its caller leaves, which is an outcome of its own."""
        metered.engine.gate.clear()
        running = asyncio.create_task(metered.answering.answer(ask()))
        await metered.engine.entered.wait()

        during = metered.value("requests_in_progress")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        assert during == 1.0
        assert metered.value("requests_in_progress") == 0.0
        assert metered.outcomes(**PAIR) == {"CANCELLED": 1.0}
        assert metered.value("engine_seconds_count") == 1.0
        assert metered.value("check_seconds_count") == 0.0

    async def test_whose_time_is_up_says_so(self, metered: MeteredReplica) -> None:
        """By its own clock."""
        metered.engine.gate.clear()

        with pytest.raises(DeadlineExceeded):
            await metered.answering.answer(ask(deadline_seconds=0.05))

        assert metered.outcomes(**PAIR) == {"DEADLINE_PASSED": 1.0}

    async def test_that_the_transport_cancels_at_its_deadline_says_so_too(self, metered: MeteredReplica) -> None:
        """It may be a little earlier than our own clock."""
        with pytest.raises(asyncio.CancelledError), metered.meter.request(Progress(deadline_seconds=0.0)):
            raise asyncio.CancelledError

        assert metered.outcomes(**NOBODY) == {"DEADLINE_PASSED": 1.0}

    async def test_that_finds_no_place_is_refused_before_a_token(self, tiny_base: BaseModel, tmp_path: Path) -> None:
        """QUEUE_FULL; the engine saw nothing of it."""
        metered = MeteredReplica.of(tiny_base, tmp_path, running=1, queued=0)
        metered.engine.gate.clear()
        running = asyncio.create_task(metered.answering.answer(ask("", contract=CONTRACT)))
        await metered.engine.entered.wait()

        with pytest.raises(Exhausted):
            await metered.answering.answer(ask("", contract=CONTRACT))
        metered.engine.gate.set()
        await running

        assert metered.outcomes(**BASE) == {"OK": 1.0, "QUEUE_FULL": 1.0}
        assert metered.value("engine_seconds_count") == 1.0

    async def test_has_one_time_to_its_first_token_however_many_pieces_come(self, metered: MeteredReplica) -> None:
        """A stream that was read to its end is answered."""
        events = [event async for event in metered.answering.stream(ask())]

        assert len(events) > 2
        assert metered.value("time_to_first_token_seconds_count") == 1.0
        assert metered.outcomes(**PAIR) == {"OK": 1.0}

    async def test_has_its_first_token_before_the_rest_of_its_answer(
        self, tiny_base: BaseModel, tmp_path: Path
    ) -> None:
        """Though its caller is sent nothing until the answer is whole."""
        registry = CollectorRegistry()
        observer = Keeping(registry, label_sets=100)
        replica = Replica(tiny_base, tmp_path, meter=Meter([observer]))
        replica.engine.rest.clear()
        asked = asyncio.create_task(replica.answering.answer(ask("", contract=CONTRACT)))
        await replica.engine.entered.wait()
        await let_run()
        held = time.monotonic()
        replica.engine.rest.set()
        answer = await asked

        (progress,) = observer.kept
        (attempt,) = progress.attempts
        assert len(attempt.token_ids) > 1
        assert attempt.first_token <= held <= attempt.engine_end
        assert answer.timing.first_token == attempt.first_token - attempt.begin
        found = registry.get_sample_value("goldsmith_time_to_first_token_seconds_sum")
        assert found == attempt.first_token - progress.begin

    async def test_times_its_stages(self, metered: MeteredReplica) -> None:
        """Stages of a request lie within the whole of it."""
        await metered.answering.answer(ask())

        stages = [
            metered.value(f"{stage}_seconds_sum") for stage in ("adapter_wait", "queue", "engine", "check", "request")
        ]
        assert all(seconds is not None and seconds >= 0 for seconds in stages)
        assert sum(filter(None, stages[:-1])) <= (stages[-1] or 0.0)


class TestCardinality:
    """A tenant creates as many adapters as it likes."""

    async def test_stays_within_its_bound(self) -> None:
        """10,000 adapters make as many series as twenty; every request is still counted."""
        registry = CollectorRegistry()
        meter = Meter([PrometheusObserver(registry, label_sets=20)])

        def use(tenant: str, adapter: str) -> None:
            progress = Progress(deadline_seconds=60.0)
            with meter.request(progress):
                progress.tenant, progress.adapter, progress.is_answered = tenant, adapter, True
            meter.alias_flips(AliasName(tenant, adapter, "live"), revision(1))

        def samples() -> dict[tuple[str, ...], float]:
            return {
                (sample.name, *sample.labels.values()): sample.value
                for family in registry.collect()
                for sample in family.samples
            }

        for number in range(100):
            use(f"t{number % 30}", f"a{number}")
        full = set(samples())
        for number in range(10_000):
            use("greedy", f"b{number}")

        found = samples()
        assert set(found) == full
        assert sum(value for key, value in found.items() if key[0] == "goldsmith_requests_total") == 10_100
        assert sum(value for key, value in found.items() if key[0] == "goldsmith_alias_flips_total") == 10_100
        assert len({key[1:3] for key in found if key[0] == "goldsmith_requests_total"}) == 20

    async def test_is_that_of_known_outcomes_only(self, metered: MeteredReplica) -> None:
        """The reason of a registry of a newer version has no series of its own."""
        for number in range(100):
            with pytest.raises(StateConflict), metered.meter.request(Progress(deadline_seconds=1.0)):
                raise StateConflict(f"REASON_{number}", "of another version")

        assert metered.outcomes(**NOBODY) == {"_other": 100.0}
