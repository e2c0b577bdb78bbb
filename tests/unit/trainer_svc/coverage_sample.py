"""Datasets whose coverage is judged: a schema with lists and references, and what is found in rows under it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from shared.contracts.spec import ContractKind, ContractSpec
from trainer_svc.curation.coverage import coverage_findings
from trainer_svc.domain.dataset import CheckedRow, Finding

SCHEMA = {
    "type": "object",
    "properties": {
        "state": {"enum": ["open", "closed", "lost"]},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        "buyer": {"type": "object", "properties": {"name": {"type": "string"}}},
    },
    "$defs": {
        "line": {
            "anyOf": [
                {"properties": {"a/b": {"type": "string"}, "lines": {"items": {"$ref": "#/$defs/line"}}}},
                {"properties": {"kind": {"enum": ["x", "y"]}}},
            ]
        }
    },
}


def coverage_of(spec: ContractSpec, outputs: Sequence[str]) -> list[Finding]:
    """All but what is said of the number of rows."""
    return [finding for finding in all_findings(spec, outputs) if not finding.reason.startswith("DATASET_")]


def all_findings(spec: ContractSpec, outputs: Sequence[str]) -> list[Finding]:
    """Whatever is said of rows with these outputs, which are numbered from 1."""
    rows = [CheckedRow(row, f"input {row}", text) for row, text in enumerate(outputs, 1)]
    return list(coverage_findings(spec, rows, len(rows)))


def coverage_of_outputs(*outputs: object) -> list[Finding]:
    """Of a hundred rows, one output after the other."""
    spec = ContractSpec(ContractKind.JSON, json_schema=json.dumps(SCHEMA))
    return coverage_of(spec, [json.dumps(outputs[number % len(outputs)]) for number in range(100)])
