"""Whoever chooses the tokens, and however few are left, the text is complete and keeps its contract."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from shared.contracts.automaton import TokenAutomaton
from shared.contracts.check import canonicalise, check_output
from shared.contracts.spec import ContractKind, ContractSpec
from tests.unit.contracts.sample import SAMPLES, automaton, byte_tokens, greedy_tokens, vocabulary

Policy = Callable[[TokenAutomaton, int, list[int], random.Random], int]


def uniform(machine: TokenAutomaton, state: int, allowed: list[int], rng: random.Random) -> int:
    """Any allowed token."""
    return rng.choice(allowed)


def rambler(machine: TokenAutomaton, state: int, allowed: list[int], rng: random.Random) -> int:
    """Spaces and digits for ever, the stop token only when nothing else is left."""
    data = vocabulary().token_bytes
    loved = [token for token in allowed if token in data and (data[token].isspace() or data[token].isdigit())]
    return rng.choice(loved or [token for token in allowed if token != machine.eos_id] or allowed)


def farthest(machine: TokenAutomaton, state: int, allowed: list[int], rng: random.Random) -> int:
    """The token whose shortest completion is longest."""

    def length(token: int) -> int:
        target = machine.next(state, token)
        return 0 if target is None else machine.distance(target)

    return max(allowed, key=length)


def walk(machine: TokenAutomaton, budget: int, policy: Policy, rng: random.Random) -> bytes | None:
    """The bytes of one walk under the mask; None when it did not end with the stop token in time."""
    state, data = machine.start, b""
    for used in range(budget):
        bits = np.unpackbits(machine.mask(state, budget - used).view(np.uint8), bitorder="little")
        token = policy(machine, state, np.flatnonzero(bits).tolist(), rng)
        if token == machine.eos_id:
            return data
        target = machine.next(state, token)
        assert target is not None
        state, data = target, data + vocabulary().token_bytes[token]
    return None


class TestWalk:
    """Random and adversarial choices under the budget mask."""

    @pytest.mark.parametrize("name", SAMPLES)
    @pytest.mark.parametrize("policy", [uniform, rambler, farthest])
    def test_every_walk_is_complete_valid_and_canonical(self, name: str, policy: Policy) -> None:
        """From min_tokens upward no choice of allowed tokens breaks the contract or the budget."""
        machine, rng = automaton(name), random.Random(name)
        spec = ContractSpec(ContractKind.JSON, json.dumps(SAMPLES[name][0]))
        oracle = Draft202012Validator(SAMPLES[name][0], format_checker=Draft202012Validator.FORMAT_CHECKER)
        budgets = [machine.min_tokens + extra for extra in (0, 1, 2, 5, 11, 40)]

        texts = [walk(machine, budget, policy, rng) for budget in budgets for _ in range(2)]

        for data in texts:
            assert data is not None
            text = data.decode()
            assert check_output(spec, text) == ()
            assert canonicalise(spec, text) == text
            # The unchanged library divides doubles for multipleOf, so 0.07 is no multiple of 0.01 to it.
            assert [e for e in oracle.iter_errors(json.loads(text)) if e.validator != "multipleOf"] == []

    def test_a_budget_below_the_minimum_allows_nothing(self) -> None:
        """With one token less than min_tokens, the first mask is empty: the caller must have refused."""
        machine = automaton("invoice")

        mask = machine.mask(machine.start, machine.min_tokens - 1)

        assert not mask.any()


class TestCompleteness:
    """What the contract allows can be generated."""

    @pytest.mark.parametrize("name", SAMPLES)
    def test_canonical_texts_of_valid_instances_are_in_the_language(self, name: str) -> None:
        """Every tokenisation of the canonical text of a valid instance is a complete path."""
        schema, valid, _ = SAMPLES[name]
        spec = ContractSpec(ContractKind.JSON, json.dumps(schema))

        for value in valid:
            text = canonicalise(spec, json.dumps(value, indent=1))
            assert automaton(name).accepts(byte_tokens(text)), text
            assert automaton(name).accepts(greedy_tokens(text)), text

    @pytest.mark.parametrize("name", SAMPLES)
    def test_invalid_instances_are_outside_and_reported(self, name: str) -> None:
        """An invalid instance is no path, and the check names its fault."""
        schema, _, invalid = SAMPLES[name]
        spec = ContractSpec(ContractKind.JSON, json.dumps(schema))

        for value in invalid:
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            assert check_output(spec, text), text
            assert not automaton(name).accepts(byte_tokens(text)), text
