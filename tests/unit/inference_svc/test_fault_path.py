"""Fault paths in the log."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_svc.domain.fault_path import loggable_path
from shared.contracts.spec import ContractKind, ContractSpec

SPEC = ContractSpec(
    ContractKind.JSON,
    json_schema=json.dumps(
        {
            "properties": {"total": {}, "a/b": {}, "ü": {}, "m~n": {}},
            "patternProperties": {"^x": {"type": "object"}},
        }
    ),
)


class TestLoggablePath:
    """A JSON Pointer into an answer."""

    @pytest.mark.parametrize(
        ("path", "shown"),
        [
            ("output", "output"),
            ("output#", "output#"),
            ("output#/total", "output#/total"),
            ("output#/total/12/total", "output#/total/*/total"),
            ("output#/a~1b/m~0n", "output#/a~1b/m~0n"),
            ("output#/ü", "output#/ü"),
            ("output#/x-ray/total", "output#/*/total"),
            ("output#/tot", "output#/*"),
            ("output#/total#x", "output#/*"),
        ],
    )
    def test_shows_the_names_that_the_contract_spells_out(self, path: str, shown: str) -> None:
        """Every other name was generated, and is masked; so are indices, which look like names."""
        assert loggable_path(path, SPEC) == shown

    @given(st.text(alphabet="kumqat~1/#0é", min_size=1))
    def test_never_shows_a_generated_name(self, name: str) -> None:
        """Whatever characters it is made of."""
        pointer = name.replace("~", "~0").replace("/", "~1")

        shown = loggable_path(f"output#/{pointer}", SPEC)

        assert shown == "output#/*"
