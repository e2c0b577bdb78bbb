"""The official schema of bills of materials, which cyclonedx-python-lib carries along."""

from __future__ import annotations

import json
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def assert_cyclonedx(bill: dict[str, Any]) -> None:  # Any: JSON
    """Fails with every fault of a bill, and for references that nothing in it has."""
    errors = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill), all_errors=True)
    assert errors is None, [str(error)[:500] for error in errors]
    names = _values(bill, "bom-ref")
    assert len(names) == len(set(names)), sorted(names)
    used = [*_values(bill, "ref"), *(ref for entry in bill["dependencies"] for ref in entry["dependsOn"])]
    assert set(used) <= set(names)


def _values(node: Any, key: str) -> list[str]:  # Any: JSON
    if isinstance(node, list):
        return [value for child in node for value in _values(child, key)]
    if not isinstance(node, dict):
        return []
    own = [node[key]] if key in node else []
    return own + [value for child in node.values() for value in _values(child, key)]
