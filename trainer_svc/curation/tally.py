"""Findings as they come: all are counted, as many are kept as somebody may read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from trainer_svc.domain.dataset import Finding

_MAX_FAULTS, _MAX_ADVICE = 10_000, 1_000
"""Of one reason: of what makes rows useless, twice the rows of a large golden dataset; of the rest, what somebody may
read. An upload of 64 MiB may have millions."""


class Tally:
    """Counts rows by reason. Findings of one reason must come row by row, in any order."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self._counts: Counter[str] = Counter()
        self._rows: Counter[str] = Counter()
        self._rows_by_severity: defaultdict[str, set[int]] = defaultdict(set)
        self._last_rows: dict[str, int] = {}
        self._limits: dict[str, int] = {}

    def add(self, finding: Finding) -> None:
        """One more."""
        self._counts[finding.reason] += 1
        if self._last_rows.get(finding.reason) != finding.row_number:
            self._last_rows[finding.reason] = finding.row_number
            self._rows[finding.reason] += 1
        self._rows_by_severity[finding.severity.name].add(finding.row_number)
        limit = self._limits.setdefault(finding.reason, _MAX_FAULTS if finding.blocking else _MAX_ADVICE)
        if self._counts[finding.reason] <= limit:
            self._findings.append(finding)

    def extend(self, findings: Iterable[Finding]) -> None:
        """Some more."""
        for finding in findings:
            self.add(finding)

    @property
    def row_counts(self) -> dict[str, int]:
        """Reasons and how many rows have each, listed or not."""
        return dict(self._rows)

    @property
    def severity_counts(self) -> dict[str, int]:
        """Names of severities and how many rows have a finding of each."""
        return {name: len(rows) for name, rows in self._rows_by_severity.items()}

    def listed(self) -> tuple[Finding, ...]:
        """The first of each reason by row; where there are more, one that says how many."""
        more = []
        for reason, count in self._counts.items():
            if count > (limit := self._limits[reason]):
                message = f"{count} findings of this kind in all, of which the first {limit} are listed"
                more.append(Finding(1, reason, "rows", message, blocking=limit == _MAX_FAULTS))
        return tuple(sorted([*self._findings, *more], key=lambda finding: finding.row_number))
