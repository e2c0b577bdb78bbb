"""An engine that dies: what callers see, what comes back, and who is kept out in the end."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from pathlib import Path

import pytest

from inference_svc.app import supervisor as module
from inference_svc.app.supervisor import MAX_DEATHS, WINDOW_SECONDS
from inference_svc.domain.generation import Answer, Question, Sampling
from inference_svc.domain.residency import ResidentState
from inference_svc.domain.suspicion import BAR_SECONDS, MAX_CRASHES, MAX_HINTS
from shared.base_model import BaseModel
from shared.errors import NotFound, StateConflict, Unavailable
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, CONTRACT
from tests.unit.inference_svc.supervised import Supervised, when

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


@pytest.fixture
def replica(tiny_base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Supervised:
    """A replica with room for two adapters, whose engine is tried again without pauses."""
    monkeypatch.setattr(module, "_FIRST_PAUSE_SECONDS", 0.001)
    return Supervised(tiny_base, tmp_path)


class TestDeath:
    """One crash."""

    async def test_fails_fast_and_comes_back_with_its_adapters(self, replica: Supervised) -> None:
        """What ran fails with a time to try again, what comes meanwhile too; then the alias serves as before."""
        async with replica.alive():
            replica.fleet.point(ALIAS, replica.publish(1))
            await replica.settle()
            replica.engine.gate.clear()
            replica.engine.entered.clear()
            question = Question(ADAPTER, "hello", "", "", None, Sampling(), 30.0)
            asked = asyncio.create_task(replica.answering.answer(question))
            await replica.engine.entered.wait()
            replica.engine.startable.clear()
            replica.engine.die()
            with pytest.raises(Unavailable) as ran:
                await asked
            with pytest.raises(Unavailable) as came:
                await replica.answering.answer(question)
            replica.engine.startable.set()
            await replica.until(2)
            resident = replica.fleet.residents("acme")[0][0]
            held = set(replica.engine.adapters)
            answer = await replica.ask()

        for refusal in (ran.value, came.value):
            assert refusal.reason == "NOT_SERVING"
            assert refusal.retry_after_seconds
        assert resident.state is ResidentState.LIVE
        assert held == {resident.key}
        assert resident.leases == 0
        assert answer.revision == str(resident.revision)
        assert replica.ready == [True, False, True]

    async def test_an_engine_that_does_not_start_is_tried_again(self, replica: Supervised) -> None:
        """Until it starts."""
        async with replica.alive():
            replica.engine.failing_starts = 3
            replica.engine.die()
            answer = await replica.ask(adapter="")

        assert replica.engine.starts == 1 + 3 + 1
        assert answer.text

    async def test_a_load_that_is_cut_off_is_no_rejection(self, replica: Supervised) -> None:
        """A revision that was being loaded goes live once the engine is back."""
        async with replica.alive():
            replica.engine.deadly = lambda call: call.request_id.startswith("canary") and replica.engine.starts == 1
            replica.engine.lie = [0]
            replica.fleet.point(ALIAS, replica.publish(1, canary=(0,)))
            await when(lambda: replica.states() == {1: ResidentState.LIVE})

        assert replica.engine.starts == 2

    async def test_a_death_while_adapters_come_back_is_noticed(
        self, replica: Supervised, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A load that hangs holds up neither the next start nor, for long, the replica's readiness."""
        calls = 0

        async def hang() -> None:
            nonlocal calls
            calls += 1
            await asyncio.Event().wait()

        monkeypatch.setattr(replica.fleet, "engine_back", hang)
        monkeypatch.setattr(module, "_RETURN_SECONDS", 0.2)
        async with replica.alive():
            replica.engine.die()
            await when(lambda: calls == 1)
            replica.engine.die()
            await when(lambda: calls == 2)
            await replica.until(3)
            assert (await replica.ask(adapter="")).text


class TestCrashLoop:
    """Crash after crash."""

    async def test_too_many_deaths_end_the_supervision(self, replica: Supervised) -> None:
        """The process is to end then: whoever started it decides."""
        async with replica.alive() as supervision:
            for _ in range(MAX_DEATHS + 1):
                starts = replica.engine.starts
                replica.engine.die()
                await when(lambda starts=starts: replica.engine.starts > starts or supervision.done())
            await asyncio.wait_for(supervision, 5)
            with pytest.raises(Unavailable):
                replica.supervisor.check()

        assert replica.engine.starts == 1 + MAX_DEATHS

    async def test_deaths_far_apart_are_no_loop(self, replica: Supervised) -> None:
        """Only those within the window count."""
        async with replica.alive() as supervision:
            for number in range(2 * MAX_DEATHS):
                replica.engine.die()
                await replica.until(number + 2)
                replica.now += WINDOW_SECONDS / 2
            assert not supervision.done()


class TestQuarantine:
    """Who was there."""

    async def test_a_deadly_request_is_kept_out_and_no_other(self, replica: Supervised) -> None:
        """Among many that run and are tried again it alone is refused, after it was there at three crashes."""
        async with replica.alive():
            replica.fleet.point(ALIAS, replica.publish(1))
            await replica.settle()
            deadly = replica.renderer.prompt_ids("deadly", "")
            replica.engine.deadly = lambda call: list(call.prompt_ids) == list(deadly)
            results = await asyncio.gather(
                *(replica.ask(text) for text in ["a", "b", "deadly", "c", "d"]), return_exceptions=True
            )
            after = await replica.ask("e")

        assert [type(result) for result in results] == [Answer, Answer, StateConflict, Answer, Answer]
        assert isinstance(results[2], StateConflict)
        assert results[2].reason == "REQUEST_QUARANTINED"
        assert replica.engine.starts == 1 + MAX_CRASHES
        assert after.text

    async def test_a_deadly_adapter_is_kept_out_and_no_other(self, replica: Supervised) -> None:
        """Whatever is asked of it: the revision is rejected by name, the base model answers on."""
        async with replica.alive():
            replica.fleet.point(ALIAS, replica.publish(1))
            await replica.settle()
            replica.engine.deadly = lambda call: call.adapter is not None
            results = await asyncio.gather(
                *(replica.ask(str(number), ADAPTER if number % 2 else "") for number in range(8)),
                return_exceptions=True,
            )
            resident = replica.fleet.residents("acme")[0][0]

        assert {type(result) for result in results[::2]} == {Answer}
        assert {type(result) for result in results[1::2]} <= {NotFound, StateConflict}
        assert resident.state is ResidentState.REJECTED
        assert "the adapter is quarantined" in resident.rejection
        # At most one request more than it takes to bar the first one that was there each time.
        assert replica.engine.starts <= 1 + MAX_CRASHES + 1

    async def test_a_deadly_adapter_comes_back_after_an_hour(self, replica: Supervised) -> None:
        """Its revision serves again under its alias, when the engine survives it by then."""
        async with replica.alive():
            replica.fleet.point(ALIAS, replica.publish(1))
            await replica.settle()
            replica.engine.deadly = lambda call: call.adapter is not None
            for number in range(MAX_CRASHES + 1):
                with suppress(NotFound, StateConflict):
                    await replica.ask(str(number))
            rejected = replica.fleet.residents("acme")[0][0]
            await when(lambda: rejected.state is ResidentState.REJECTED)
            replica.engine.deadly = lambda call: False
            with pytest.raises((NotFound, StateConflict)):  # the second as long as the load that was refused is ending
                await replica.ask("too early")
            replica.now += BAR_SECONDS
            assert rejected.rejected_until is not None
            rejected.rejected_until -= BAR_SECONDS
            answer = await replica.ask("in time")
            resident = replica.fleet.residents("acme")[0][0]

        assert resident.state is ResidentState.LIVE
        assert answer.text

    async def test_a_slow_reader_holds_no_suspect_up(self, replica: Supervised) -> None:
        """A suspect runs alone, but whoever does not read on keeps nobody waiting."""
        slow, other = (Question("", text, "", CONTRACT, None, Sampling(), 30.0) for text in ("slow", "other"))
        async with replica.alive():
            replica.engine.gate.clear()
            asked = [asyncio.create_task(replica.answering.answer(question)) for question in (slow, other)]
            await when(lambda: len(replica.engine.calls) == 2)
            replica.engine.die()
            failures = await asyncio.gather(*asked, return_exceptions=True)
            await replica.until(2)
            async with aclosing(replica.answering.stream(slow)) as pieces:
                await anext(pieces)
                answer = await replica.answering.answer(other)

        assert [type(failure) for failure in failures] == [Unavailable, Unavailable]
        assert answer.text

    async def test_a_quarantined_request_comes_back_after_an_hour(self, replica: Supervised) -> None:
        """Whoever was barred is told for how long; what an engine then survives is cleared."""
        async with replica.alive():
            deadly = list(replica.renderer.prompt_ids("deadly", ""))
            replica.engine.deadly = lambda call: list(call.prompt_ids) == deadly
            with pytest.raises(StateConflict) as barred:
                await replica.ask("deadly", adapter="")
            replica.engine.deadly = lambda call: False
            replica.now += BAR_SECONDS - 1
            with pytest.raises(StateConflict) as still:
                await replica.ask("deadly", adapter="")
            replica.now += 1
            answer = await replica.ask("deadly", adapter="")

        assert barred.value.retry_after_seconds == BAR_SECONDS
        assert still.value.retry_after_seconds == 1
        assert answer.text

    async def test_an_innocent_request_beside_ever_new_killers_is_answered(self, replica: Supervised) -> None:
        """Each killer has a text of its own and is not tried again; the one that was there each time is not it."""
        questions = [
            Question("", text, "", CONTRACT, None, Sampling(), 30.0)
            for text in ("innocent", *(f"killer {number}" for number in range(MAX_HINTS - 1)))
        ]
        killers = [list(replica.renderer.prompt_ids(question.input, "")) for question in questions[1:]]
        async with replica.alive():
            replica.engine.deadly = lambda call: list(call.prompt_ids) in killers
            for number, killer in enumerate(questions[1:]):
                replica.engine.gate.clear()
                count = len(replica.engine.calls)
                innocent = asyncio.create_task(replica.answering.answer(questions[0]))
                await when(lambda count=count: len(replica.engine.calls) > count)
                outcomes = await asyncio.gather(innocent, replica.answering.answer(killer), return_exceptions=True)
                assert [type(outcome) for outcome in outcomes] == [Unavailable, Unavailable]
                await replica.until(number + 2)
            answer = await replica.ask("innocent", adapter="")

        assert replica.engine.starts == MAX_HINTS > MAX_CRASHES + 1
        assert answer.text
