"""Held-out metrics of a set of answers, each with its interval."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A value with the interval that holds the true one with 95 % confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class FieldMeasure:
    """How well one field is extracted; ratios are 0..1."""

    path: str
    """As in `FieldCount`."""
    golden_count: int
    matched: int
    omitted: int
    invented: int
    mismatched: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Metrics:
    """Metrics over rows; measures are 0..1 but `output_tokens`. Of no rows they are 0 with the widest interval."""

    row_count: int
    schema_valid: Measure
    exact_match: Measure
    field_precision: Measure
    field_recall: Measure
    field_f1: Measure
    """Micro averages over the leaves of all rows."""
    omitted: int
    invented: int
    mismatched: int
    fields: tuple[FieldMeasure, ...]
    """Sorted by path, the 200 with most leaves."""
    dropped_field_count: int
    """Paths that `fields` leaves out."""
    filler_rate: Measure
    own_stop_rate: Measure
    output_tokens: Measure
    """Mean of a row."""
    task_metric: Measure
    """What adapters of one job are compared by. SQL: execution match. Text: ROUGE-L. Else the mean of exact match and
    field F1: exact match is what counts, and moves in leaps on some dozen rows; field F1 tells between them."""
    parse_rate: Measure | None = None
    """SQL only."""
    execution_match: Measure | None = None
    """SQL that SQLite runs only."""
    rouge_l: Measure | None = None
    """Text only: the mean of a row."""

    @property
    def measures(self) -> dict[str, Measure]:
        """Those that there are, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Measure)}
