"""From rows to metrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from trainer_svc.domain.measure import FieldMeasure, Measure, Metrics
from trainer_svc.domain.row_score import FieldCount, RowScore
from trainer_svc.evaluation.interval import Numbers, Statistic, at_least_of_rate, bootstrap, rate

_MAX_FIELDS = 200


def metrics_of(rows: Sequence[RowScore]) -> Metrics:
    """All metrics of a set of rows; rates with Wilson's interval, the others with the bootstrap's.

    That of a metric of 0..1 is never narrower than Wilson's of the same value and number of rows: five right rows alone
    do not show that all are.
    """
    fields = _fields(rows)
    kept = sorted(fields, key=lambda field: (-field.golden_count - field.invented, field.path))[:_MAX_FIELDS]
    return Metrics(
        row_count=len(rows),
        schema_valid=_rate(row.is_valid for row in rows),
        exact_match=_rate(row.is_exact for row in rows),
        field_precision=_of_leaves(rows, precision),
        field_recall=_of_leaves(rows, recall),
        field_f1=_of_leaves(rows, f1),
        omitted=sum(row.omitted for row in rows),
        invented=sum(row.invented for row in rows),
        mismatched=sum(row.mismatched for row in rows),
        fields=tuple(sorted(kept, key=lambda field: field.path)),
        dropped_field_count=len(fields) - len(kept),
        filler_rate=_rate(row.has_filler for row in rows),
        own_stop_rate=_rate(row.ended for row in rows),
        output_tokens=_mean([row.token_count for row in rows]) or Measure(0.0, 0.0, 0.0),
        task_metric=_task_metric(rows),
        parse_rate=_rate_where_known(row.is_parsed for row in rows),
        execution_match=_rate_where_known(row.executes_alike for row in rows),
        rouge_l=_share_where_known([row.rouge_l for row in rows]),
    )


def leaf_columns(rows: Sequence[RowScore]) -> Numbers:
    """Of each row the leaves that match, the generated and the golden ones; shape (rows, 3)."""
    return np.array([(row.matched, row.generated, row.golden) for row in rows], dtype=np.float64).reshape(-1, 3)


def precision(leaves: Numbers) -> Numbers:
    """Matched of generated; without any it is 1 where there are no golden ones either, else 0. Of `leaf_columns`."""
    return _ratio(leaves[..., 0], leaves[..., 1], empty=leaves[..., 2] == 0)


def recall(leaves: Numbers) -> Numbers:
    """Matched of golden; without any it is 1 where nothing was generated either, else 0. Of `leaf_columns`."""
    return _ratio(leaves[..., 0], leaves[..., 2], empty=leaves[..., 1] == 0)


def f1(leaves: Numbers) -> Numbers:
    """`2 * matched / (generated + golden)`; 1 when both are empty. Of `leaf_columns`."""
    total = leaves[..., 1] + leaves[..., 2]
    return _ratio(2 * leaves[..., 0], total, empty=total == 0)


def only(means: Numbers) -> Numbers:
    """The mean of the one column."""
    return means[..., 0]


def task_columns(rows: Sequence[RowScore]) -> Numbers:
    """What the task metric of rows is made of, one row at least; shape (rows, columns). `Metrics` says what it is."""
    if rows[0].executes_alike is not None:
        return np.array([[row.executes_alike] for row in rows], dtype=np.float64)
    if rows[0].rouge_l is not None:
        return np.array([[row.rouge_l] for row in rows], dtype=np.float64)
    return np.column_stack([leaf_columns(rows), [row.is_exact for row in rows]])


def task_statistic(row: RowScore) -> Statistic:
    """From means of `task_columns` to the task metric, of rows like this one."""
    if row.executes_alike is None and row.rouge_l is None:
        return lambda means: (f1(means) + means[..., 3]) / 2
    return only


def _task_metric(rows: Sequence[RowScore]) -> Measure:
    if not rows or rows[0].executes_alike is not None:
        return _rate(row.executes_alike is True for row in rows)
    return at_least_of_rate(bootstrap(task_columns(rows), task_statistic(rows[0])), len(rows))


def _ratio(part: Numbers, whole: Numbers, *, empty: np.typing.NDArray[np.bool_]) -> Numbers:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.where(empty, 1.0, 0.0))


def _of_leaves(rows: Sequence[RowScore], statistic: Statistic) -> Measure:
    return at_least_of_rate(bootstrap(leaf_columns(rows), statistic), len(rows)) if rows else rate(0, 0)


def _rate(hits: Iterable[bool]) -> Measure:
    found = list(hits)
    return rate(sum(found), len(found))


def _rate_where_known(hits: Iterable[bool | None]) -> Measure | None:
    """None where no row knows: a kind of contract either has the metric or has it not."""
    known = [hit for hit in hits if hit is not None]
    return _rate(known) if known else None


def _mean(values: Sequence[float]) -> Measure | None:
    return bootstrap(np.array(values, dtype=np.float64).reshape(-1, 1), only) if values else None


def _share_where_known(values: Sequence[float | None]) -> Measure | None:
    """The mean of values of 0..1."""
    known = [value for value in values if value is not None]
    found = _mean(known)
    return at_least_of_rate(found, len(known)) if found is not None else None


def _fields(rows: Sequence[RowScore]) -> list[FieldMeasure]:
    found: defaultdict[str, list[FieldCount]] = defaultdict(list)
    for row in rows:
        for field in row.fields:
            found[field.path].append(field)
    return [_field(path, counts) for path, counts in found.items()]


def _field(path: str, counts: Sequence[FieldCount]) -> FieldMeasure:
    matched, generated, golden = (
        sum(count.matched for count in counts),
        sum(count.generated for count in counts),
        sum(count.golden for count in counts),
    )
    leaves = np.array([matched, generated, golden], dtype=np.float64)
    return FieldMeasure(
        path=path,
        golden_count=golden,
        matched=matched,
        omitted=sum(count.omitted for count in counts),
        invented=sum(count.invented for count in counts),
        mismatched=sum(count.mismatched for count in counts),
        precision=float(precision(leaves)),
        recall=float(recall(leaves)),
        f1=float(f1(leaves)),
    )
