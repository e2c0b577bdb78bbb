"""The kinds `choice`, `regex` and `text` behind the three questions that every kind answers."""

from __future__ import annotations

from shared.contracts.plain.choice import check_choice, lower_choice
from shared.contracts.plain.free_text import check_text, lower_text
from shared.contracts.plain.whole_pattern import check_pattern, lower_pattern
from shared.contracts.report import LoweredContract
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import FieldViolation, InvalidInput


def lower_plain(spec: ContractSpec) -> LoweredContract:
    """The language of a contract of one of these kinds.

    Raises `InvalidInput`: `CONTRACT_UNSUPPORTED` naming `choices[i]`, `pattern` or `max_chars`, `CONTRACT_TOO_LARGE`.
    """
    match spec.kind:
        case ContractKind.CHOICE:
            return lower_choice(spec.choices)
        case ContractKind.REGEX:
            return lower_pattern(spec.pattern)
        case ContractKind.TEXT:
            return lower_text(spec.max_chars)
    raise AssertionError(f"{spec.kind} has a language of its own")


def check_plain(spec: ContractSpec, text: str) -> tuple[FieldViolation, ...]:
    """Every fault of a text, at the path `output`; empty when it keeps the contract."""
    match spec.kind:
        case ContractKind.CHOICE:
            fault = check_choice(spec.choices, text)
        case ContractKind.REGEX:
            fault = check_pattern(spec.pattern, text)
        case ContractKind.TEXT:
            fault = check_text(spec.max_chars, text)
        case _:
            raise AssertionError(f"{spec.kind} has a check of its own")
    return (FieldViolation("output", fault),) if fault else ()


def canonicalise_plain(spec: ContractSpec, text: str) -> str:
    """The text itself: these kinds have one spelling. Raises `InvalidInput` (`CONTRACT_VIOLATED`)."""
    faults = check_plain(spec, text)
    if faults:
        raise InvalidInput(
            "CONTRACT_VIOLATED", f"The output breaks its contract: it {faults[0].description}", violations=faults
        )
    return text
