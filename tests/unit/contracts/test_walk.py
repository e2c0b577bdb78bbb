"""Whoever chooses the tokens, and however few are left, the text is complete and keeps its contract."""

from __future__ import annotations

import json
import random
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from shared.contracts.build import build_contract
from shared.contracts.check import canonicalise, check_output
from shared.contracts.compiled import CompiledContract
from shared.contracts.json_schema.dialect import dialect_of
from shared.contracts.lower import lower
from shared.contracts.report import EngineName, Guarantee
from shared.contracts.spec import ContractKind, ContractSpec, UndeclaredProperties
from tests.unit.contracts.sample import SAMPLES, automaton, byte_tokens, greedy_tokens, vocabulary
from tests.unit.contracts.test_json_keyword import CASES as KEYWORD_CASES
from tests.walk import POLICIES, Policy, walk

Json = Any  # JSON values
CASES: dict[str, tuple[dict[str, Json], list[Json], list[Json]]] = {
    **KEYWORD_CASES,
    "unique_beside_a_short_list": (
        {"properties": {
            "a": {"type": "array", "uniqueItems": True, "minItems": 10, "items": {"type": "string"}},
            "b": {"type": "array", "uniqueItems": True, "items": {"enum": list("abcdefghi")}}},
         "type": "object", "required": ["a"], "additionalProperties": False},
        [{"a": list("abcdefghij")}],
        [{"a": list("abcdefghi")}, {"a": list("abcdefghii")}],
    ),
}  # fmt: skip
SCHEMAS = {**{name: schema for name, (schema, _, _) in SAMPLES.items()}, **{n: s for n, (s, _, _) in CASES.items()}}
_EXTRA_TOKENS = (0, 1, 2, 5, 11, 40)


@cache
def compiled(name: str) -> CompiledContract:
    """The contract of a sample as it is written, over the small vocabulary."""
    undeclared = UndeclaredProperties.NARROWED if name in SAMPLES else UndeclaredProperties.AS_WRITTEN
    spec = ContractSpec(ContractKind.JSON, json.dumps(SCHEMAS[name]), undeclared_properties=undeclared)
    return build_contract(spec, lower(spec), vocabulary(), max_states=30_000)


def follows(contract: CompiledContract, tokens: list[int]) -> bool:
    """Whether the tokens, stop token left out, are a complete answer."""
    guide = contract.guide()
    return all(guide.advance(token) for token in tokens) and guide.is_accepting()


class TestWalk:
    """Random and adversarial choices under the budget mask."""

    @pytest.mark.parametrize("name", SCHEMAS)
    @pytest.mark.parametrize("policy", POLICIES)
    def test_every_walk_is_complete_valid_and_canonical(self, name: str, policy: Policy) -> None:
        """From min_tokens upward no choice of allowed tokens breaks the contract or the budget."""
        contract, rng = compiled(name), random.Random(name)
        oracle = dialect_of(SCHEMAS[name]).validator(SCHEMAS[name], format_checker=Draft202012Validator.FORMAT_CHECKER)
        assert contract.report.guarantee is Guarantee.CERTAIN

        budgets = [contract.min_tokens + extra for extra in _EXTRA_TOKENS]
        texts = [walk(contract.guide(), budget, policy, rng, vocabulary()) for budget in budgets]

        for data in texts:
            assert data is not None
            text = data.decode()
            assert check_output(contract.spec, text) == ()
            assert canonicalise(contract.spec, text) == text
            # The unchanged library divides doubles for multipleOf, so 0.07 is no multiple of 0.01 to it.
            assert [e for e in oracle.iter_errors(json.loads(text)) if e.validator != "multipleOf"] == []

    def test_a_budget_below_the_minimum_allows_nothing(self) -> None:
        """With one token less than min_tokens, the first mask is empty: the caller must have refused."""
        machine = automaton("invoice")

        mask = machine.mask(machine.start, machine.min_tokens - 1)

        assert not mask.any()

    def test_both_engines_are_walked(self) -> None:
        """Small regular contracts are automata, recursion and open maps are held by the grammar engine."""
        engines = {name: compiled(name).report.engine for name in SCHEMAS}

        assert engines["invoice"] is EngineName.OUTLINES
        assert {engines["recursion"], engines["property_names"], engines["anything"]} == {EngineName.LLGUIDANCE}


class TestCompleteness:
    """What the contract allows can be generated."""

    @pytest.mark.parametrize("name", SCHEMAS)
    def test_canonical_texts_of_valid_instances_are_in_the_language(self, name: str) -> None:
        """Every tokenisation of the canonical text of a valid instance is a complete path."""
        contract = compiled(name)
        _, valid, _ = SAMPLES.get(name) or CASES[name]

        for value in valid:
            text = canonicalise(contract.spec, json.dumps(value, indent=1))
            assert follows(contract, byte_tokens(text)), text
            assert follows(contract, greedy_tokens(text)), text

    @pytest.mark.parametrize("name", SCHEMAS)
    def test_invalid_instances_are_outside_and_reported(self, name: str) -> None:
        """An invalid instance is no path, and the check names its fault."""
        contract = compiled(name)
        _, _, invalid = SAMPLES.get(name) or CASES[name]

        for value in invalid:
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            assert check_output(contract.spec, text), text
            assert not follows(contract, byte_tokens(text)), text
