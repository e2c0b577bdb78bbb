"""What the report of a contract says of the length of its answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.contracts.build import build_contract
from shared.contracts.compiled import CompiledContract
from shared.contracts.lower import lower
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import InvalidInput
from shared.rpc.contract_message import report_message, report_of
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
