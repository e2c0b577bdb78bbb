"""Each mistake of a caller has its precise status."""

from __future__ import annotations

import json

import pytest

from goldsmith.trainer.v1 import golden_dataset_pb2
from shared.contracts.report import KeywordFate
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import DeadlineExceeded, InvalidInput, NotFound
from tests.e2e.main_job.house import House

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]


class TestWrongInputs:
    """Each mistake has its precise status."""

    def test_what_cannot_be_guaranteed_in_a_schema(self, house: House) -> None:
        """The places are named by JSON Pointer, all at once, and nothing is stored."""
        name = "tenants/acme/contracts/bad"
        places = {"a": {"type": "string", "pattern": "(?=x)"}, "b": {"type": "string", "pattern": r"\bx"}}

        with pytest.raises(InvalidInput) as caught:
            house.trainer.create_contract(name, json_schema=json.dumps({"type": "object", "properties": places}))

        assert caught.value.reason == "CONTRACT_UNSUPPORTED"
        assert {violation.path for violation in caught.value.violations} == {
            "json_schema#/properties/a/pattern",
            "json_schema#/properties/b/pattern",
        }
        with pytest.raises(NotFound):
            house.trainer.contract(name)

    def test_an_unknown_keyword_in_a_schema_is_reported(self, house: House) -> None:
        """JSON Schema reads it as an annotation; the report says so, in case it was a slip of the pen."""
        schema = {"type": "object", "properties": {"a": {"type": "boolean", "colour": 1}}}
        report = house.trainer.compile_contract(
            "tenants/acme", ContractSpec(ContractKind.JSON, json_schema=json.dumps(schema))
        )

        fates = {verdict.pointer: verdict.fate for verdict in report.verdicts}
        assert fates["/properties/a/colour"] is KeywordFate.ANNOTATION

    def test_a_row_that_breaks_its_contract_is_named_by_number(self, house: House) -> None:
        """The dataset fails; its finding gives the row number and the place inside the output."""
        good = house.tenants["acme"].upload().splitlines()[:30]
        row = json.loads(good[7])
        row["output"] = json.dumps(json.loads(row["output"]) | {"currency": "XXX"})
        lines = [*good[:7], json.dumps(row).encode(), *good[8:]]
        golden = golden_dataset_pb2.GoldenDataset(contract="tenants/acme/contracts/answer")
        name = house.trainer.create_dataset("tenants/acme/datasets/broken", golden).name

        sealed = house.trainer.upload(name, b"\n".join(lines))

        assert sealed.state == golden_dataset_pb2.GOLDEN_DATASET_STATE_FAILED
        findings = [finding for finding in house.trainer.findings(name) if finding.blocking]
        assert [(f.row_number, f.reason) for f in findings] == [(8, "CONTRACT_VIOLATED")]
        assert "currency" in findings[0].path

    def test_unknown_adapter(self, house: House) -> None:
        """NOT_FOUND names the adapter."""
        with pytest.raises(NotFound) as caught:
            house.inference.extract("tenants/acme/adapters/nobody", "text")

        assert caught.value.reason == "ADAPTER_NOT_FOUND"
        assert "nobody" in str(caught.value)

    def test_expired_deadline(self, house: House) -> None:
        """A call whose time is up ends with DEADLINE_EXCEEDED, and the engine goes on for others."""
        with pytest.raises(DeadlineExceeded):
            house.ask("acme", timeout_seconds=0.005)

        assert house.ask("acme").text
