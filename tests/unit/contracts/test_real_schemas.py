"""The real golden datasets' schemas over the shipped base model's tokens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.contracts.check import canonicalise, check_output
from shared.contracts.spec import ContractKind, ContractSpec
from tests.unit.contracts.sample import build_contract, byte_tokens

TENANTS = ["AddToPlaylist", "BookRestaurant", "GetWeather", "RateBook"]


@pytest.mark.real_data
class TestSnips:
    """Flat objects of up to 14 optional strings."""

    @pytest.mark.parametrize("tenant", TENANTS)
    def test_schema_compiles_and_every_gold_output_is_inside(self, real_data: Path, tenant: str) -> None:
        """The automaton stays below 20,000 states and holds the canonical text of every holdout answer."""
        spec = ContractSpec(ContractKind.JSON, (real_data / "snips" / f"{tenant}.schema.json").read_text("utf-8"))
        rows = (real_data / "snips" / f"{tenant}.holdout.jsonl").read_text("utf-8").splitlines()

        machine = build_contract(spec)

        assert machine.state_count < 20_000
        for row in rows:
            text = canonicalise(spec, json.loads(row)["output"])
            assert check_output(spec, text) == ()
            assert machine.accepts(byte_tokens(text)), text
