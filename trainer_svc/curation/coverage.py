"""What a dataset does not show: too few rows, one answer for nearly all, what never comes, or hardly ever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from shared.contracts.spec import ContractKind, ContractSpec
from trainer_svc.curation.schema_part import SHOWN_CHARS, missing_parts, rare_parts, schema_parts
from trainer_svc.domain.dataset import CheckedRow, Finding

_FEW_ROWS, _ENOUGH_ROWS, _MANY_ROWS = 100, 500, 5_000
_ONE_ANSWER = 0.8
"""Of the rows: an adapter learns to give it whatever is asked."""
_NAMED = 20
"""Fields or values in one message."""


def coverage_findings(spec: ContractSpec, rows: Sequence[CheckedRow], last: int) -> Iterator[Finding]:
    """Findings about all that is trained on together, listed under the last row for want of a better one."""
    if len(rows) < _FEW_ROWS:
        message = f"{len(rows)} rows to train on: below {_FEW_ROWS} little but the format is learned"
        yield _finding(last, "DATASET_SMALL", message)
    elif len(rows) < _ENOUGH_ROWS:
        message = f"{len(rows)} rows to train on: {_ENOUGH_ROWS} to 1,000 are what pays off"
        yield _finding(last, "DATASET_MODEST", message)
    elif len(rows) > _MANY_ROWS:
        message = f"{len(rows)} rows to train on: beyond {_MANY_ROWS} they cost hours and gain little"
        yield _finding(last, "DATASET_LARGE", message)
    answer, count = Counter(row.output for row in rows).most_common(1)[0]
    if count >= max(2, _ONE_ANSWER * len(rows)):
        message = f"{count} of {len(rows)} rows have the output {answer[:SHOWN_CHARS]!r}"
        yield _finding(last, "ANSWERS_ALIKE", message)
    parts = schema_parts(spec.json_schema, rows) if spec.kind is ContractKind.JSON else []
    yield from sorted(
        (_rare(at, shown, len(rows)) for at, shown in rare_parts(parts).items() if len(shown) < len(rows)),
        key=lambda found: found.row_number,
    )
    if missing := _missing(spec, rows) or missing_parts(parts):
        shown = ", ".join(name[:SHOWN_CHARS] for name in missing[:_NAMED])
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        yield _finding(last, "NEVER_SEEN", f"no row shows {shown}{more}, which the contract allows")


def _rare(at: str, numbers: Sequence[int], count: int) -> Finding:
    """Under the first row that shows it."""
    first, *others = numbers
    message = f"shows {at[:SHOWN_CHARS]}, which {len(numbers)} of {count} rows to train on show"
    return Finding(first, "FIELD_RARE", f"rows[{first}].output", message, blocking=False, related_rows=tuple(others))


def _finding(last: int, reason: str, message: str) -> Finding:
    return Finding(last, reason, "rows", message, blocking=False)


def _missing(spec: ContractSpec, rows: Sequence[CheckedRow]) -> list[str]:
    """Choices of the contract, and tables and columns of its schema, that no row has."""
    seen = {row.output for row in rows}
    if spec.kind is ContractKind.CHOICE:
        return [repr(choice) for choice in spec.choices if choice not in seen]
    if spec.kind is not ContractKind.SQL:
        return []
    from shared.contracts.sql import unused_names  # as in shared.contracts.check: sqlglot takes a while

    return unused_names(spec, seen)
