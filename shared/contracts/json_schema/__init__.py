"""JSON Schema contracts: our own lowering of the enforceable part of Draft 2020-12 to a regular language."""

from shared.contracts.json_schema.contract import canonicalise_json, check_json, lower_schema

__all__ = ["canonicalise_json", "check_json", "lower_schema"]
