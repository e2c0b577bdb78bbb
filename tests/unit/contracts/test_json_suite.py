"""The official JSON-Schema-Test-Suite: an accepted schema generates each valid instance and no invalid one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.check import canonicalise
from shared.contracts.lower import lower
from shared.contracts.spec import ContractKind, ContractSpec, UndeclaredProperties
from shared.errors import InvalidInput

Json = Any  # JSON values
_DRAFT7 = "http://json-schema.org/draft-07/schema#"
_ASSERTED = {"format.json"}
"""The suite takes formats for annotations; we assert the known ones, which the specification allows."""
_OWN_VOCABULARY = "schema that uses custom metaschema with with no validation vocabulary"
"""Meta-schemas of one's own cannot switch keywords off."""
_NOT_ASSERTED = {
    "idn-hostname.json", "idn-email.json", "iri.json", "iri-reference.json", "uri-template.json", "regex.json",
    "ecmascript-regex.json",
}  # fmt: skip
"""Formats that stay annotations."""
_NEVER_GENERATED = {
    "date-time.json": ("leap second", "case-insensitive", "fifteen nines"),
    "time.json": ("leap second", "case-insensitive"),
    "email.json": ("quoted string", "address-literal"),
    "json-pointer.json": ("control characters",),
}
"""Spellings of a format that are valid and that we do not generate: instances by a part of their description."""
_PUNYCODE = "validation of A-label (punycode) host names"


def _groups(root: Path, folder: str) -> Iterator[tuple[str, dict[str, Json]]]:
    for file in sorted((root / "json_schema_test_suite" / folder).glob("*.json")):
        for group in json.loads(file.read_text("utf-8")):
            yield file.name, group


def _contract(schema: Json) -> ContractSpec:
    return ContractSpec(ContractKind.JSON, json.dumps(schema), undeclared_properties=UndeclaredProperties.AS_WRITTEN)


def _has_text(spec: ContractSpec, value: Json) -> bool:
    try:
        canonicalise(spec, json.dumps(value))
    except InvalidInput:
        return False
    return True


def _accepted(schema: Json) -> ContractSpec | None:
    spec = _contract(schema)
    try:
        lower(spec)
    except InvalidInput:
        return None
    return spec


@pytest.mark.real_data
class TestSuite:
    """Draft 2020-12 and draft-07, the required part."""

    @pytest.mark.parametrize(("folder", "least"), [("draft2020-12", 320), ("draft7", 180)])
    def test_valid_instances_have_a_text_and_invalid_ones_have_none(
        self, real_data: Path, folder: str, least: int
    ) -> None:
        """Every accepted schema judges every instance as the suite does."""
        wrong, accepted = [], 0
        for file, group in _groups(real_data, folder):
            schema = group["schema"]
            if isinstance(schema, dict) and folder == "draft7":
                schema = {"$schema": _DRAFT7, **schema}
            spec = None if file in _ASSERTED else _accepted(schema)
            if spec is None or group["description"] == _OWN_VOCABULARY:
                continue
            accepted += 1
            wrong += [
                (file, group["description"], test["description"])
                for test in group["tests"]
                if _has_text(spec, test["data"]) != test["valid"]
            ]

        assert wrong == []
        assert accepted >= least

    def test_formats_judge_as_the_suite_does(self, real_data: Path) -> None:
        """But for spellings that are valid and never generated."""
        wrong = []
        for file, group in _groups(real_data, "draft2020-12/optional/format"):
            if file in _NOT_ASSERTED or group["description"] == _PUNYCODE:
                continue
            spec = _contract(group["schema"])
            for test in group["tests"]:
                known = any(part in test["description"] for part in _NEVER_GENERATED.get(file, ()))
                if _has_text(spec, test["data"]) != (test["valid"] and not known):
                    wrong.append((file, group["description"], test["description"]))

        assert wrong == []
