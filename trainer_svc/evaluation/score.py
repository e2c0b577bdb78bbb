"""All metrics of a set of outputs in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.contracts.spec import ContractKind, ContractSpec
from trainer_svc.domain.metric import exact_match, field_f1
from trainer_svc.evaluation.execution import execution_match


@dataclass(frozen=True)
class Score:
    """Metrics over rows, each 0..1."""

    exact_match: float
    field_f1: float
    execution_match: float | None

    @property
    def task_metric(self) -> float:
        """What adapters of one run are compared by: execution match, else the mean of exact match and field F1.

        Exact match is what counts, and moves in leaps on some dozen rows; field F1 tells between them.
        """
        if self.execution_match is not None:
            return self.execution_match
        return (self.exact_match + self.field_f1) / 2


def score_outputs(spec: ContractSpec, golden: Sequence[str], generated: Sequence[str], database_sql: str = "") -> Score:
    """Compares canonical outputs row by row; execution match only for SQL with a database."""
    executed = None
    if spec.kind is ContractKind.SQL and database_sql:
        executed = execution_match(spec.ddl, database_sql, golden, generated)
    return Score(exact_match(golden, generated), field_f1(spec.kind, golden, generated), executed)
