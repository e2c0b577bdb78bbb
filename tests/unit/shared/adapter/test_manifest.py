"""The manifest as JSON: across releases, and as strangers may send it."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapter.bill_of_materials import adapter_bill
from shared.adapter.manifest import AdapterManifest, Canary
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import DomainError, StateConflict

SOUND = AdapterManifest(
    base_model_id="tiny",
    base_model_digest="sha256:" + "1" * 64,
    prompt_digest="sha256:" + "2" * 64,
    contract_name="tenants/acme/contracts/answer",
    contract=ContractSpec(ContractKind.SQL, ddl="CREATE TABLE t (a TEXT);"),
    rank=4,
    alpha=8.0,
    target_modules=("q_proj",),
    dataset_digest="sha256:" + "3" * 64,
    canaries=(Canary((1, 2), (3,)),),
    training={"seed": 1, "use_rslora": False, "mode": "lora", "torch_version": "2"},
    metrics={"exact_match": 1, "field_f1": 0.5},
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=6,
)
SPEC = ContractSpec(ContractKind.JSON, json_schema='{"type":"boolean"}')
ZERO = "sha256:" + "0" * 64
MANIFEST = AdapterManifest("base", ZERO, ZERO, "tenants/acme/contracts/c", SPEC, 4, 8.0, ("q_proj",), ZERO, ())
FIRST_DIGEST = "sha256:b7cf99168be89bd611cd4801ccec72bb9337701a1ac49357a53b73393190205c"
"""Of `MANIFEST` as the release before `output_tokens_saved` wrote it."""


def _read(**changes: object) -> AdapterManifest:
    return AdapterManifest.from_json(json.dumps(json.loads(MANIFEST.to_json()) | changes).encode())


class TestFromJson:
    """Reading one."""

    def test_gives_back_what_was_written(self) -> None:
        """Byte for byte, so that the digest is the same."""
        assert AdapterManifest.from_json(SOUND.to_json()) == SOUND
        assert AdapterManifest.from_json(SOUND.to_json()).to_json() == SOUND.to_json()

    @given(field=st.sampled_from(sorted(json.loads(SOUND.to_json()))), value=JSON)
    def test_with_anything_in_any_field_is_read_or_refused(self, field: str, value: object) -> None:
        """In words; what is read can be written, and its bill too."""
        data = json.dumps({**json.loads(SOUND.to_json()), field: value}).encode()

        try:
            found = AdapterManifest.from_json(data)
        except DomainError as err:
            assert err.reason  # noqa: PT017  # either outcome is right; any other exception is not
        else:
            AdapterManifest.from_json(found.to_json())
            adapter_bill(dataclasses.replace(found, files=()), SOUND.digest, name="any")

    @given(field=st.sampled_from(sorted(json.loads(SOUND.to_json()))))
    def test_without_a_field_is_refused_unless_it_has_a_default(self, field: str) -> None:
        """Nothing that identifies an adapter is made up."""
        body = json.loads(SOUND.to_json())
        del body[field]
        data = json.dumps(body).encode()

        if field in ("instruction_prompt_tokens", "output_tokens_saved", "use_rslora", "training", "metrics"):
            assert AdapterManifest.from_json(data)
        else:
            with pytest.raises(StateConflict, match="does not parse"):
                AdapterManifest.from_json(data)

    @pytest.mark.parametrize("number", [10**400, float("nan"), float("-inf")], ids=["beyond floats", "nan", "infinite"])
    def test_with_a_number_that_is_not_finite_is_refused(self, number: float) -> None:
        """Whoever computes with it would fail or answer nonsense."""
        for changes in ({"alpha": number}, {"metrics": {"field_f1": number}}):
            with pytest.raises(StateConflict, match="manifest does not parse"):
                _read(**changes)


class TestInstructionPromptTokens:
    """What a request saves of its prompt."""

    def test_may_be_negative(self) -> None:
        """Templates put a system prompt of their own where none is given, and that may be the longer one."""
        assert _read(instruction_prompt_tokens=-17).instruction_prompt_tokens == -17

    @pytest.mark.parametrize("saved", [10**7, -(10**7), 10**400])
    def test_is_refused_where_nobody_can_have_measured_it(self, saved: int) -> None:
        """It is added up for each request."""
        with pytest.raises(StateConflict, match="manifest does not parse"):
            _read(instruction_prompt_tokens=saved)


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
