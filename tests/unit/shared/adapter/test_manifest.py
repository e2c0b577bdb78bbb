"""The manifest as JSON, across releases."""

from __future__ import annotations

import dataclasses
import json

import pytest

from shared.adapter.manifest import AdapterManifest
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import StateConflict

SPEC = ContractSpec(ContractKind.JSON, json_schema='{"type":"boolean"}')
ZERO = "sha256:" + "0" * 64
MANIFEST = AdapterManifest("base", ZERO, ZERO, "tenants/acme/contracts/c", SPEC, 4, 8.0, ("q_proj",), ZERO, ())
FIRST_DIGEST = "sha256:b7cf99168be89bd611cd4801ccec72bb9337701a1ac49357a53b73393190205c"
"""Of `MANIFEST` as the release before `output_tokens_saved` wrote it."""


def _read(**changes: object) -> AdapterManifest:
    return AdapterManifest.from_json(json.dumps(json.loads(MANIFEST.to_json()) | changes).encode())


class TestOutputTokensSaved:
    """A figure that came after the first release."""

    def test_leaves_packages_without_it_as_they_were(self) -> None:
        """Byte for byte, so that their digest stays, and earlier releases read what has none."""
        assert "output_tokens_saved" not in json.loads(MANIFEST.to_json())
        assert MANIFEST.digest == FIRST_DIGEST
        assert _read().output_tokens_saved == 0.0

    @pytest.mark.parametrize("saved", [12.345, -3.5, 1e-9])
    def test_travels_with_the_package(self, saved: float) -> None:
        """Below 0, too, where the adapter writes more than the base model."""
        manifest = dataclasses.replace(MANIFEST, output_tokens_saved=saved)

        assert AdapterManifest.from_json(manifest.to_json()) == manifest

    @pytest.mark.parametrize("saved", [float("nan"), float("inf"), -1e300, 1e7, "many", None])
    def test_is_refused_where_nobody_can_have_measured_it(self, saved: object) -> None:
        """It is multiplied and rounded for each request."""
        with pytest.raises(StateConflict, match="manifest does not parse"):
            _read(output_tokens_saved=saved)
