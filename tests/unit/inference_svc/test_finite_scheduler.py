"""What vLLM's scheduler makes of a step's output when some requests computed NaN: the part that is ours."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from inference_svc.engine.finite_scheduler import NON_FINITE, POISONED, Poison, ending


def request(name: str, lora: int | None = None) -> SimpleNamespace:
    """As the scheduler knows it."""
    return SimpleNamespace(request_id=name, lora_request=None if lora is None else SimpleNamespace(lora_int_id=lora))


class Scheduler:
    """vLLM's, as far as it is read here."""

    def __init__(self, *requests: SimpleNamespace) -> None:
        self.requests = {one.request_id: one for one in requests}
        self.grammar_compile_error_reqs: set[str] = set()
        self.evicted: set[int] = set()
        self.kv_cache_manager = SimpleNamespace(evict_blocks=self.evicted.update)

    def step(
        self, *names: str, poisoned: Mapping[str, Poison] | None = None
    ) -> tuple[dict[str, list[int]], dict[str, Any]]:
        """A step in which `names` got a token each: what stock is given for each, and each one's stop reason.

        Whatever stock is told to end is gone afterwards.
        """
        output = SimpleNamespace(
            req_id_to_index={name: index for index, name in enumerate(names)},
            sampled_token_ids=[[7] for _ in names],
        )
        if poisoned:
            setattr(output, POISONED, poisoned)
        told = ending(_stock)(self, None, output)
        tokens = {name: output.sampled_token_ids[index] for name, index in output.req_id_to_index.items()}
        return tokens, {one.request_id: one.stop_reason for one in told[0].outputs}


def _stock(scheduler: Scheduler, _: object, output: SimpleNamespace) -> dict[int, SimpleNamespace]:
    ended, going = scheduler.grammar_compile_error_reqs, output.req_id_to_index.keys()
    outputs = [SimpleNamespace(request_id=name, stop_reason=None) for name in sorted(ended | going)]
    for name in ended:
        del scheduler.requests[name]
    scheduler.grammar_compile_error_reqs = set()
    return {0: SimpleNamespace(outputs=outputs)}


class TestEnding:
    """The end of what computed NaN."""

    def test_leaves_sound_steps_alone(self) -> None:
        """Nobody ends, every token passes."""
        scheduler = Scheduler(request("a", 1), request("b"))

        tokens, stops = scheduler.step("a", "b")

        assert tokens == {"a": [7], "b": [7]}
        assert stops == {"a": None, "b": None}

    def test_gives_a_poisoned_request_no_token(self) -> None:
        """It ends by name; the others go on."""
        scheduler = Scheduler(request("a", 1), request("b", 2), request("c"))

        tokens, stops = scheduler.step("a", "b", "c", poisoned={"a": Poison(1, [3])})

        assert tokens == {"a": [], "b": [7], "c": [7]}
        assert stops == {"a": NON_FINITE, "b": None, "c": None}

    def test_takes_all_of_its_adapter_along(self) -> None:
        """Those beside it, those that wait, and those that come later, for ever: the id is never used again."""
        scheduler = Scheduler(request("a", 1), request("beside", 1), request("waiting", 1), request("other", 2))

        tokens, stops = scheduler.step("a", "beside", "other", poisoned={"a": Poison(1, [3])})
        scheduler.requests["later"] = request("later", 1)
        later, later_stops = scheduler.step("later", "other")

        assert tokens == {"a": [], "beside": [], "other": [7]}
        assert stops == {"a": NON_FINITE, "beside": NON_FINITE, "waiting": NON_FINITE, "other": None}
        assert later == {"later": [], "other": [7]}
        assert later_stops == {"later": NON_FINITE, "other": None}

    def test_ends_a_poisoned_base_model_request_alone(self) -> None:
        """There is no adapter to bar."""
        scheduler = Scheduler(request("a"), request("b"))

        _, stops = scheduler.step("a", "b", poisoned={"a": Poison(0, [3])})

        assert stops == {"a": NON_FINITE, "b": None}

    def test_takes_what_was_zeroed_out_of_the_prefix_cache(self) -> None:
        """A prompt that was full of zeros would be found again by its text."""
        scheduler = Scheduler(request("a"), request("b"))

        scheduler.step("a", "b", poisoned={"b": Poison(0, [2, 5])})

        assert scheduler.evicted == {2, 5}

    def test_bars_the_adapter_of_a_request_whose_caller_left_during_the_step(self) -> None:
        """Nobody is to be told of it, but the others of its adapter are."""
        scheduler = Scheduler(request("b", 1), request("c", 2))

        tokens, stops = scheduler.step("gone", "b", "c", poisoned={"gone": Poison(1, [3])})

        assert (tokens["b"], tokens["c"]) == ([], [7])
        assert (stops["b"], stops["c"]) == (NON_FINITE, None)
        assert scheduler.evicted == {3}
