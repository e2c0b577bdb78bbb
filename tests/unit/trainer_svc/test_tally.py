"""Findings as they come."""

from __future__ import annotations

from collections.abc import Iterable

from trainer_svc.curation.tally import Tally
from trainer_svc.domain.dataset import Finding


def _tally(findings: Iterable[Finding]) -> Tally:
    own = Tally()
    own.extend(findings)
    return own


class TestTally:
    """Counted all, kept in part."""

    def test_counts_rows_of_each_reason(self) -> None:
        """Two findings of a row are one row."""
        tally = _tally(Finding(row, reason, "p", "m") for reason in ("A", "B") for row in (3, 3, 1))

        assert tally.row_counts == {"A": 2, "B": 2}
        assert [finding.row_number for finding in tally.listed()] == [1, 1, 3, 3, 3, 3]

    def test_lists_what_somebody_may_read(self) -> None:
        """Of faults more than of advice; the number of all is told, and counted."""
        tally = _tally(
            Finding(row, reason, "p", "m", blocking=blocking)
            for reason, blocking in (("FAULT", True), ("ADVICE", False))
            for row in range(1, 20_001)
        )

        listed = tally.listed()

        assert tally.row_counts == {"FAULT": 20_000, "ADVICE": 20_000}
        assert [sum(finding.reason == reason for finding in listed) for reason in ("FAULT", "ADVICE")] == [
            10_001,
            1_001,
        ]
        told = {finding.message: finding.blocking for finding in listed if finding.path == "rows"}
        assert told == {
            "20000 findings of this kind in all, of which the first 10000 are listed": True,
            "20000 findings of this kind in all, of which the first 1000 are listed": False,
        }
