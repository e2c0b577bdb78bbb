"""The report of a compiled contract, from what its folder holds."""

from __future__ import annotations

from shared.contracts.compiled import CompiledContract
from shared.contracts.report import CompileReport, EngineName, LoweredContract
from shared.contracts.spec import ContractKind


def report_of(contract: CompiledContract) -> CompileReport:
    """Everything that is known of a contract after compiling; lengths of random answers are not measured yet."""
    is_text = contract.spec.kind is ContractKind.TEXT
    lowered = LoweredContract(verdicts=contract.verdicts, promises_format=not is_text)
    return CompileReport(
        guarantee=lowered.guarantee,
        engine=EngineName.OUTLINES,
        state_count=contract.automaton.state_count,
        min_tokens=contract.min_tokens,
        typical_tokens=0,
        max_tokens=None,
        verdicts=contract.verdicts,
    )
