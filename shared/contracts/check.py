"""Whether a finished text keeps its contract, and its one canonical spelling; independent of the automaton."""

from __future__ import annotations

from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import FieldViolation, InvalidInput


def check_output(spec: ContractSpec, text: str) -> tuple[FieldViolation, ...]:
    """Every fault of `text` under the contract; empty when it keeps it.

    Paths are `output#/json/pointer` for JSON and `output` for every other kind.
    """
    if spec.kind is ContractKind.JSON:
        from shared.contracts.json_schema import check_json

        return check_json(spec, text)
    if spec.kind is ContractKind.SQL:
        from shared.contracts.sql import check_sql

        return check_sql(spec, text)
    from shared.contracts.plain import check_plain

    return check_plain(spec, text)


def refusal_hint(spec: ContractSpec, text: str, refusal: InvalidInput) -> str:
    """What the owner of a contract may change so that a text that `canonicalise` refused gets inside; may be empty."""
    if spec.kind is not ContractKind.SQL:
        return refusal.hint
    from shared.contracts.sql import hint_for

    return hint_for(spec, text, refusal)


def canonicalise(spec: ContractSpec, text: str) -> str:
    """The one spelling of `text` that the automaton can produce.

    Raises `InvalidInput` (`CONTRACT_VIOLATED`) with every fault when the text breaks the contract, or keeps it in a way
    that the canonical language leaves out (an undeclared property, a number of more than 15 digits).
    """
    if spec.kind is ContractKind.JSON:
        from shared.contracts.json_schema import canonicalise_json

        return canonicalise_json(spec, text)
    if spec.kind is ContractKind.SQL:
        from shared.contracts.sql import canonicalise_sql

        return canonicalise_sql(spec, text)
    from shared.contracts.plain import canonicalise_plain

    return canonicalise_plain(spec, text)
