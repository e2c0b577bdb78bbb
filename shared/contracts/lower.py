"""From a contract as written to one language, whatever its kind."""

from __future__ import annotations

import importlib

from shared.contracts.report import LoweredContract
from shared.contracts.spec import ContractKind, ContractSpec


def lower(spec: ContractSpec) -> LoweredContract:
    """The language of a contract and the fate of each of its keywords.

    Raises `InvalidInput` (`CONTRACT_UNSUPPORTED`) whose violations name every part that cannot be guaranteed, or
    `CONTRACT_TOO_LARGE`.
    """
    if spec.kind is ContractKind.JSON:
        from shared.contracts.json_schema import lower_schema

        return lower_schema(spec)
    if spec.kind is ContractKind.SQL:
        from shared.contracts.sql import lower_sql  # sqlglot takes 0.3 s to import

        return lower_sql(spec)
    from shared.contracts.plain import lower_plain

    return lower_plain(spec)


def preload(kind: ContractKind) -> None:
    """Import what `lower` needs for this kind: a memory limit must not fall into the middle of an import."""
    own = {ContractKind.JSON: "shared.contracts.json_schema", ContractKind.SQL: "shared.contracts.sql"}
    for module in (own.get(kind, "shared.contracts.plain"), "shared.contracts.index", "shared.contracts.grammar_guide"):
        importlib.import_module(module)
