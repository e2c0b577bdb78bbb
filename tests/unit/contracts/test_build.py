"""What the report of a contract says of the length of its answers, and what becomes of one that takes too long."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from sqlglot.tokenizer_core import TokenizerCore

from shared.contracts import build
from shared.contracts.build import build_contract, compile_contract
from shared.contracts.compiled import CompiledContract
from shared.contracts.json_schema.contract import read_contract
from shared.contracts.json_schema.emission import Emission
from shared.contracts.json_schema.fact import Goal
from shared.contracts.json_schema.tableau import Branch, Tableau
from shared.contracts.limit import OutOfTime, processor_time
from shared.contracts.lower import lower
from shared.contracts.spec import ContractKind, ContractSpec
from shared.contracts.sql.ddl import read_schema
from shared.errors import InvalidInput
from shared.rpc.contract_message import report_message, report_of
from tests.hostile import SPECS
from tests.unit.contracts.sample import vocabulary


def built(schema: dict[str, Any]) -> CompiledContract:
    """The contract of a schema over the small vocabulary."""
    spec = ContractSpec(ContractKind.JSON, json.dumps(schema))
    return build_contract(spec, lower(spec), vocabulary(), max_states=30_000)


class TestReport:
    """Lengths in tokens."""

    def test_a_limit_that_no_answer_reaches_is_none(self) -> None:
        """A million texts of a million characters: the report says so in a message as well."""
        schema = {"type": "array", "maxItems": 10**6, "items": {"type": "string", "maxLength": 10**6}}

        report = built(schema).report

        assert report.max_tokens is None
        assert report_of(report_message(report)) == report

    def test_answers_that_are_too_long_for_any_context_are_refused(self) -> None:
        """Ten thousand million zeros at least."""
        row = {"type": "array", "minItems": 10**5, "items": {"const": 0}}

        with pytest.raises(InvalidInput) as caught:
            built({"type": "array", "minItems": 10**5, "items": row})

        assert caught.value.reason == "CONTRACT_TOO_LARGE"


LOPSIDED = {
    "type": "object",
    "properties": {"a": {"type": "null"}, "b/c": {"anyOf": [{"const": n} for n in "defghij"]}},
    "required": ["a", "b/c"],
}


def refusal(spec: ContractSpec) -> InvalidInput:
    """What a compilation says no with."""
    with pytest.raises(InvalidInput) as caught:
        compile_contract(spec, vocabulary(), max_states=30_000, seconds=60)
    assert caught.value.reason == "CONTRACT_TOO_LARGE"
    return caught.value


def json_spec(schema: dict[str, Any]) -> ContractSpec:
    """A contract of a schema."""
    return ContractSpec(ContractKind.JSON, json.dumps(schema))


class TestOutOfTime:
    """A compilation whose processor time is over is refused, naming the part that took it."""

    @pytest.fixture(autouse=True)
    def nothing_is_read(self) -> None:
        """Another test may have read the same texts."""
        read_contract.cache_clear()
        read_schema.cache_clear()

    def test_python_code_is_interrupted(self) -> None:
        """Wherever it stands; afterwards there is no limit any more."""

        def spin() -> None:
            while True:
                pass

        with pytest.raises(OutOfTime), processor_time(0.02):
            spin()

        assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # raised in a callback, then again
    def test_a_contract_that_takes_longer_is_refused(self) -> None:
        """By the field that defines it where no part of it stands out."""
        with pytest.raises(InvalidInput) as caught:
            compile_contract(SPECS["many tables, nested"], vocabulary(), max_states=30_000, seconds=0.01)

        assert caught.value.reason == "CONTRACT_TOO_LARGE"
        assert [violation.path for violation in caught.value.violations] == ["ddl"]

    def test_no_library_takes_the_interruption_for_a_fault_of_the_text(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The tokenizer of sqlglot says of whatever is raised inside of it that the text cannot be read."""

        def interrupted(*_: object) -> None:
            raise OutOfTime

        monkeypatch.setattr(TokenizerCore, "_scan", interrupted)

        assert [violation.path for violation in refusal(SPECS["many tables, nested"]).violations] == ["ddl"]

    def test_while_a_schema_is_read_the_place_of_reading_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Combinations explode there."""
        branches = Tableau.branches

        def slow(self: Tableau, goal: Goal) -> Iterator[Branch]:
            if any(demand.place == "/properties/a" for demand in goal):
                raise OutOfTime
            yield from branches(self, goal)

        monkeypatch.setattr(Tableau, "branches", slow)

        assert [v.path for v in refusal(json_spec(LOPSIDED)).violations] == ["json_schema#/properties/a"]

    @pytest.mark.parametrize(("owner", "name"), [(Emission, "grammar"), (build, "build_contract")])
    def test_later_the_part_that_most_of_the_grammar_is_for(
        self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
    ) -> None:
        """What is written and measured from then on grows with it."""

        def slow(*_: Any) -> None:
            raise OutOfTime

        monkeypatch.setattr(owner, name, slow)

        assert [v.path for v in refusal(json_spec(LOPSIDED)).violations] == ["json_schema#/properties/b~1c"]
