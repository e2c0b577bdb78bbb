"""The table of what findings cost and what to do about them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from shared.names import DatasetName
from shared.rpc.page import Page
from trainer_svc.domain.dataset import Dataset, Finding
from trainer_svc.domain.finding_kind import FINDING_KINDS, FindingFilter, Severity
from trainer_svc.store import catalog

Transact = Callable[[Callable[..., Any]], Any]
_ROOT = Path(__file__).parents[3]
_NOT_OF_FINDINGS = {
    "FIELD_INVALID",
    "CONTEXT_TOO_LONG",
    "STATE_CONFLICT",
    "MALLOC_ARENA_MAX",
    "ARROW_DEFAULT_MEMORY_POOL",
}
"""Reasons of errors, and environment variables."""
_REASON = re.compile(r'"([A-Z]+(?:_[A-Z]+)+)"')


def _reasons_given() -> set[str]:
    """Every reason that the gate's code names, and that of labelling."""
    app = _ROOT / "trainer_svc" / "app"
    files = [*(_ROOT / "trainer_svc" / "curation").rglob("*.py"), app / "asking.py", app / "labelling.py"]
    return {reason for file in files for reason in _REASON.findall(file.read_text("utf-8"))} - _NOT_OF_FINDINGS


def _rows_of_readme() -> dict[str, str]:
    """What README's table says of stopping the training, by reason."""
    section = (_ROOT / "README.md").read_text("utf-8").partition("\n## Golden datasets\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:3] == "| `"]
    return {reason: cells[-1] for cells in rows for reason in re.findall(r"`([A-Z_]+)`", cells[0])}


class TestTable:
    """One line for each reason."""

    def test_holds_every_reason_that_the_gate_gives(self) -> None:
        """And none besides."""
        assert _reasons_given() == set(FINDING_KINDS)

    def test_is_the_table_of_the_readme(self) -> None:
        """Errors are what stops the training there."""
        stops = {reason: kind.severity is Severity.ERROR for reason, kind in FINDING_KINDS.items()}

        assert {reason: text.startswith("yes") for reason, text in _rows_of_readme().items()} == stops

    def test_a_remedy_is_one_line(self) -> None:
        """What to do, without a full stop."""
        for kind in FINDING_KINDS.values():
            assert 10 < len(kind.remedy) <= 120
            assert kind.remedy[-1].isalnum()


class TestFinding:
    """One finding."""

    def test_takes_severity_and_remedy_from_its_reason(self) -> None:
        """Not from the place where it was made."""
        finding = Finding(1, "ROW_DUPLICATED", "rows[1].input", "repeats row 2", blocking=False)

        assert (finding.severity, finding.remedy) == (Severity.WARNING, "keep one of them")

    def test_one_that_another_version_stored_has_a_severity(self) -> None:
        """Whether it blocks is stored with it."""
        assert Finding(1, "OTHER_KIND", "rows", "x", blocking=True).severity is Severity.ERROR
        assert Finding(1, "OTHER_KIND", "rows", "x", blocking=False).severity is Severity.WARNING


class TestStoredFindings:
    """Pages of those that are wanted."""

    def test_keep_the_rows_that_they_are_about(self, transact: Transact) -> None:
        """None of those that an earlier release stored."""
        name = DatasetName("acme", "d")
        dataset = Dataset(str(name), "c", "", "", datetime(2026, 1, 1, tzinfo=UTC))
        told = Finding(1, "ROW_DUPLICATED", "rows[1].input", "x", blocking=False, related_rows=(3, 4))
        transact(lambda c: catalog.save_dataset(c, dataset, [told]))
        transact(
            lambda c: c.exec_driver_sql(
                "INSERT INTO findings (tenant, dataset, position, row_number, reason, path, message, blocking)"
                " VALUES ('acme', 'd', 1, 2, 'NEVER_SEEN', 'rows', 'y', 0)"
            )
        )

        page, _ = transact(partial(catalog.list_findings, name=name, page=Page(9, "")))

        assert [found.related_rows for found in page] == [(3, 4), ()]
        assert transact(lambda c: catalog.list_row_findings(c, name, 1)) == [told]

    def test_come_by_reason_and_severity(self, transact: Transact) -> None:
        """In the order of the rows, each once, whatever the page size."""
        name = DatasetName("acme", "d")
        reasons = ["ROW_INVALID", "NEVER_SEEN", "ROW_DUPLICATED", "OTHER_KIND", "NEVER_SEEN", "ROW_INVALID"]
        findings = [
            Finding(place, reason, "rows", "x", blocking=reason == "ROW_INVALID")
            for place, reason in enumerate(reasons)
        ]

        def listed(wanted: FindingFilter, size: int) -> list[int]:
            rows, page = [], Page(size, "")
            while True:
                found, token = transact(partial(catalog.list_findings, name=name, page=page, wanted=wanted))
                rows += [finding.row_number for finding in found]
                if not token:
                    return rows
                page = Page.parse(size, token)

        dataset = Dataset(str(name), "c", "", "", datetime(2026, 1, 1, tzinfo=UTC))
        transact(lambda c: catalog.save_dataset(c, dataset, findings))

        for size in (1, 2, 50):
            assert listed(FindingFilter(), size) == [0, 1, 2, 3, 4, 5]
            assert listed(FindingFilter(least=Severity.WARNING), size) == [0, 2, 3, 5]
            assert listed(FindingFilter(least=Severity.ERROR), size) == [0, 5]
            assert listed(FindingFilter(frozenset({"NEVER_SEEN", "ROW_INVALID"})), size) == [0, 1, 4, 5]
            assert listed(FindingFilter(frozenset({"NEVER_SEEN"}), Severity.WARNING), size) == []
