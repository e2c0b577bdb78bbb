"""Checked keywords: answers that fail their check are tried again, never sent, and at last an error."""

from __future__ import annotations

import asyncio
import dataclasses
import threading

import pytest
import pytest_asyncio

from inference_svc.config import Settings
from inference_svc.domain.generation import RETRY_TEMPERATURE, Answer, Sampling
from shared.contracts.guide import Guide
from shared.contracts.report import Guarantee
from shared.errors import DeadlineExceeded, FieldViolation, InternalFault, InvalidInput, StateConflict
from tests.unit.inference_svc.conftest import Replica
from tests.unit.inference_svc.picky import QUESTION, PickyContract, ask, picky_replica, script


@pytest_asyncio.fixture
async def sound(replica: Replica) -> Replica:
    """One live adapter, under a contract with a checked keyword."""
    return await picky_replica(replica, Guarantee.SOUND)


@pytest_asyncio.fixture
async def certain(replica: Replica) -> Replica:
    """One live adapter, under a contract that promises every answer passes."""
    return await picky_replica(replica, Guarantee.CERTAIN)


async def _listen(replica: Replica, events: list[str | Answer]) -> None:
    """Puts down each event of a stream as it comes, so that those before an error are known."""
    async for event in replica.answering.stream(ask(kind=None)):
        events.append(event)  # noqa: PERF401  # a comprehension would lose them


@pytest.mark.asyncio
class TestCheckedKeywords:
    """Contracts of the class `sound`."""

    async def test_an_answer_that_fails_is_tried_again(self, sound: Replica) -> None:
        """The caller gets the one that passed, and learns how many attempts and tokens it took."""
        tokens = script(sound, '"yes"', '"no"', '"perhaps"')

        answer = await sound.answering.answer(QUESTION)

        assert (answer.text, answer.attempt_count, answer.guarantee) == ('"perhaps"', 3, Guarantee.SOUND)
        assert answer.usage.output_tokens == sum(map(len, tokens))
        assert answer.usage.prompt_tokens == 3 * len(sound.renderer.prompt_ids(QUESTION.input))
        assert answer.timing.total >= answer.timing.engine >= 0

    async def test_the_first_that_passes_ends_it(self, sound: Replica) -> None:
        """Nothing is generated that nobody needs."""
        script(sound, '"perhaps"', '"yes"')

        answer = await sound.answering.answer(QUESTION)

        assert answer.attempt_count == len(sound.engine.calls) == 1

    async def test_attempts_end_in_an_error_with_what_was_broken(self, sound: Replica) -> None:
        """Three in all; the violations are those of the last, the metadata says what was spent."""
        tokens = script(sound, '"no"', '"no"', '"yes"', '"perhaps"')

        with pytest.raises(StateConflict) as caught:
            await sound.answering.answer(QUESTION)

        assert caught.value.reason == "FORMAT_CHECK_FAILED"
        assert caught.value.violations == (FieldViolation("output#", '"yes" is not wanted'),)
        assert caught.value.metadata == {
            "attempt_count": "3",
            "output_tokens": str(sum(map(len, tokens[:3]))),
        }
        assert [resident.leases for resident, _ in sound.fleet.residents("acme")] == [0]

    async def test_every_attempt_has_the_same_budget_and_its_own_name_and_draw(self, sound: Replica) -> None:
        """The token limit holds for each; the engine is never handed the same request twice."""
        script(sound, '"no"', '"no"', '"perhaps"')

        await sound.answering.answer(ask(sampling=Sampling(temperature=1.0, seed=7, max_output_tokens=40)))

        calls = sound.engine.calls
        assert [call.max_tokens for call in calls] == [40, 40, 40]
        assert len({call.request_id for call in calls}) == 3
        assert [call.sampling.seed for call in calls] == [7, 8, 9]
        assert len({call.adapter for call in calls}) == 1

    async def test_the_deadline_holds_over_all_attempts(self, sound: Replica) -> None:
        """A retry gets what is left of the caller's time, no more, and frees the engine."""
        script(sound, '"no"', '"perhaps"')
        (resident,) = [resident for resident, _ in sound.fleet.residents("acme")]
        assert isinstance(resident.contract, PickyContract)
        object.__setattr__(resident.contract, "on_check", sound.engine.gate.clear)  # the second attempt hangs

        with pytest.raises(DeadlineExceeded):
            await sound.answering.answer(ask(deadline_seconds=0.5))

        assert len(sound.engine.calls) == 2
        assert sound.engine.closed_early == 1

    async def test_attempts_of_one_request_hold_one_place(self, replica: Replica) -> None:
        """With one place in the engine, two requests of three attempts each run one after the other."""
        narrow = await picky_replica(dataclasses.replace(replica, running=1), Guarantee.SOUND)
        script(narrow, '"no"', '"no"', '"perhaps"', '"no"', '"no"', '"perhaps"')

        answers = await asyncio.gather(*(narrow.answering.answer(QUESTION) for _ in range(2)))

        assert [answer.attempt_count for answer in answers] == [3, 3]


@pytest.mark.asyncio
class TestStreams:
    """What a stream may send before the check."""

    async def test_nothing_of_a_failed_attempt_is_sent(self, sound: Replica) -> None:
        """Under checked keywords the text comes whole, after its check."""
        script(sound, '"no"', '"perhaps"')

        events = [event async for event in sound.answering.stream(ask(kind=None))]

        assert events[:-1] == ['"perhaps"']
        assert isinstance(events[-1], Answer)
        assert events[-1].attempt_count == 2
        assert not any(call.stream for call in sound.engine.calls)

    async def test_a_stream_that_fails_sends_no_text(self, sound: Replica) -> None:
        """Only the error."""
        script(sound, '"no"', '"no"', '"no"')
        events: list[str | Answer] = []

        with pytest.raises(StateConflict):
            await _listen(sound, events)

        assert events == []

    async def test_a_certain_contract_streams_as_it_is_generated(self, certain: Replica) -> None:
        """Several pieces, then the answer."""
        tokens = script(certain, '"perhaps"')

        events = [event async for event in certain.answering.stream(ask(kind=None))]

        assert certain.engine.calls[0].stream
        assert 1 < len(events) - 1 <= len(tokens[0]) - 1
        assert "".join(str(event) for event in events[:-1]) == '"perhaps"'

    async def test_a_certain_contract_never_ends_with_an_unchecked_summary(self, certain: Replica) -> None:
        """Should the impossible happen, the stream breaks off: without a summary it is not an answer."""
        script(certain, '"no"')
        events: list[str | Answer] = []

        with pytest.raises(InternalFault):
            await _listen(certain, events)

        assert not any(isinstance(event, Answer) for event in events)


@pytest.mark.asyncio
class TestChecks:
    """Checking the finished text."""

    async def test_do_not_wait_for_contracts_that_compile(self, certain: Replica) -> None:
        """Every common thread may be busy compiling; answers are checked all the same."""
        script(certain, '"perhaps"')
        release = threading.Event()
        loop = asyncio.get_running_loop()
        compiling = [loop.run_in_executor(None, release.wait) for _ in range(64)]
        try:
            answer = await certain.answering.answer(QUESTION)
        finally:
            release.set()
            await asyncio.gather(*compiling)

        assert answer.text == '"perhaps"'

    async def test_leave_the_loop_to_others(self, certain: Replica) -> None:
        """While one answer's check takes its time, the service goes on."""
        script(certain, '"perhaps"')
        (resident,) = [resident for resident, _ in certain.fleet.residents("acme")]
        checking, release = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def slow() -> None:
            loop.call_soon_threadsafe(checking.set)
            assert release.wait(10), "the loop was blocked by the check"

        object.__setattr__(resident.contract, "on_check", slow)
        call = asyncio.create_task(certain.answering.answer(QUESTION))
        await checking.wait()
        release.set()

        assert (await call).text == '"perhaps"'

    async def test_replays_leave_the_loop_to_others(self, certain: Replica) -> None:
        """The first replay under a large grammar makes its networks: nobody else waits for that."""
        script(certain, '"perhaps"')
        (resident,) = [resident for resident, _ in certain.fleet.residents("acme")]
        assert resident.contract is not None
        replaying, release, guide = asyncio.Event(), threading.Event(), resident.contract.guide
        loop = asyncio.get_running_loop()

        def slow() -> Guide:
            loop.call_soon_threadsafe(replaying.set)
            assert release.wait(10), "the loop was blocked by the replay"
            return guide()

        object.__setattr__(resident.contract, "guide", slow)
        call = asyncio.create_task(certain.answering.answer(QUESTION))
        await replaying.wait()
        release.set()

        assert (await call).text == '"perhaps"'


@pytest.mark.asyncio
class TestCertainContracts:
    """Contracts without checked keywords."""

    async def test_a_failed_check_is_our_fault_and_never_tried_again(self, certain: Replica) -> None:
        """Trying again would hide a broken guarantee."""
        script(certain, '"no"', '"perhaps"')

        with pytest.raises(InternalFault) as caught:
            await certain.answering.answer(QUESTION)

        assert caught.value.reason == "GUARANTEE_BROKEN"
        assert len(certain.engine.calls) == 1

    async def test_leaving_the_automaton_is_our_fault_under_any_contract(self, sound: Replica) -> None:
        """What the engine holds is never retried, checked keywords or not."""
        sound.engine.script = [[5]]

        with pytest.raises(InternalFault) as caught:
            await sound.answering.answer(QUESTION)

        assert caught.value.reason == "GUARANTEE_BROKEN"


class TestSampling:
    """How later attempts sample."""

    @pytest.mark.parametrize(
        ("asked", "second"),
        [
            (Sampling(), Sampling(temperature=RETRY_TEMPERATURE, seed=1)),
            (Sampling(seed=5), Sampling(temperature=RETRY_TEMPERATURE, seed=6)),
            (Sampling(temperature=0.7, seed=5), Sampling(temperature=0.7, seed=6)),
            (Sampling(temperature=0.7), Sampling(temperature=0.7)),
            (Sampling(top_p=0.5, max_output_tokens=9), Sampling(RETRY_TEMPERATURE, 0.5, 1, 9)),
        ],
    )
    def test_can_differ_and_is_reproducible_where_the_first_was(self, asked: Sampling, second: Sampling) -> None:
        """Greedy gets some warmth, a seed moves on, limits stay."""
        assert asked.of_attempt(1) == asked
        assert asked.of_attempt(2) == second

    @pytest.mark.parametrize("count", [0, -1])
    def test_there_is_at_least_one_attempt(self, count: int, tmp_path: object) -> None:
        """A setting that would answer nothing is refused at start."""
        with pytest.raises(InvalidInput, match="format_attempts"):
            Settings(base_model_dir=tmp_path, registry="127.0.0.1:1", format_attempts=count)  # type: ignore[arg-type]
