"""How much of a golden dataset's SQL the language of its contract holds, row by row."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from shared.contracts.spec import ContractSpec, SqlProfile
from shared.contracts.sql.canonical import canonicalise_sql
from shared.errors import InvalidInput


@dataclass(frozen=True)
class RowCoverage:
    """One statement: its canonical spelling, or why there is none and what would change that."""

    canonical: str
    """Empty when the statement lies outside the language."""
    reasons: tuple[str, ...] = ()
    hint: str = ""


@dataclass(frozen=True)
class Coverage:
    """Every statement of a dataset, in order."""

    rows: tuple[RowCoverage, ...]

    @property
    def ratio(self) -> float:
        """Share of the statements that have a canonical spelling, 0..1; 1 for no statements at all."""
        return sum(bool(row.canonical) for row in self.rows) / len(self.rows) if self.rows else 1.0

    def reasons(self) -> Counter[str]:
        """How many statements lie outside for each first reason."""
        return Counter(row.reasons[0] for row in self.rows if row.reasons)


def coverage_of(spec: ContractSpec, statements: Iterable[str]) -> Coverage:
    """Raises what `language_of` raises for the spec itself; a statement never raises."""
    return Coverage(tuple(_row(spec, statement) for statement in statements))


def hint_for(spec: ContractSpec, statement: str, refusal: InvalidInput) -> str:
    """What the owner of the contract may change so that a refused statement gets inside; empty when nothing helps."""
    if refusal.hint or spec.profile is SqlProfile.NESTED:
        return refusal.hint
    try:
        canonicalise_sql(dataclasses.replace(spec, profile=SqlProfile.NESTED), statement)
    except InvalidInput as err:
        return err.hint
    return "the nested profile has this statement"


def _row(spec: ContractSpec, statement: str) -> RowCoverage:
    try:
        return RowCoverage(canonicalise_sql(spec, statement))
    except InvalidInput as err:
        if err.reason != "CONTRACT_VIOLATED":
            raise
        reasons = tuple(violation.description for violation in err.violations)
        return RowCoverage("", reasons, hint_for(spec, statement, err))
