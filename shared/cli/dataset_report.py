"""A dataset's report as one document: for machines as JSON, for people by kind of finding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from pydantic import BaseModel
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from goldsmith.trainer.v1 import golden_dataset_pb2 as pb
from shared.errors import StateConflict

_STYLES = {"ERROR": "bold red", "WARNING": "yellow", "ADVICE": "cyan"}
_NAMED_ROWS = 20
"""Of a kind, on a screen; the JSON has all."""
_MODEL_NOTE = "nothing else: names and places take a model (--personal-data-finder of the trainer)"


class ReportFinding(BaseModel, frozen=True):
    """One thing to fix in one row."""

    row: int
    reason: str
    severity: str
    path: str
    message: str


class ReportKind(BaseModel, frozen=True):
    """All findings with one reason."""

    reason: str
    severity: str
    remedy: str
    row_count: int
    rows: list[int]
    """Each once, in rising order."""


class DatasetReportDocument(BaseModel, frozen=True):
    """Everything a check told. Keys stay; others may be added."""

    name: str
    contract: str
    state: str
    digest: str
    row_count: int
    train_count: int
    holdout_count: int
    invalid_count: int
    severity_counts: dict[str, int]
    """Rows with such a finding."""
    personal_data_kinds: list[str]
    """What was looked for."""
    kinds: list[ReportKind]
    """The gravest first, then by number of rows."""
    findings: list[ReportFinding]
    """By row."""


def report_document(dataset: pb.GoldenDataset, findings: Iterable[pb.DatasetFinding]) -> DatasetReportDocument:
    """The report of a sealed dataset. Raises `StateConflict` for one that was not checked yet."""
    if not dataset.HasField("report"):
        raise StateConflict(
            "STATE_CONFLICT", f"{dataset.name} was not checked yet", hint="upload all of it and seal it first"
        )
    listed = list(findings)
    grouped: defaultdict[str, list[pb.DatasetFinding]] = defaultdict(list)
    for finding in listed:
        grouped[finding.reason].append(finding)
    kinds = sorted(grouped.values(), key=lambda group: (-group[0].severity, -len(group), group[0].reason))
    report = dataset.report
    return DatasetReportDocument(
        name=dataset.name,
        contract=dataset.contract,
        state=_state(dataset),
        digest=dataset.digest,
        row_count=report.row_count,
        train_count=report.train_count,
        holdout_count=report.holdout_count,
        invalid_count=report.invalid_count,
        severity_counts=dict(sorted(report.severity_counts.items())),
        personal_data_kinds=list(report.personal_data_kinds),
        kinds=[_kind(group) for group in kinds],
        findings=[
            ReportFinding(row=f.row_number, reason=f.reason, severity=_severity(f), path=f.path, message=f.message)
            for f in listed
        ],
    )


def show_dataset_report(console: Console, document: DatasetReportDocument) -> None:
    """Counts, then each kind of finding with what to do, the rows and the first of its messages."""
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for label, value in _facts(document):
        facts.add_row(label, Text(value))
    console.print(facts)
    if not document.kinds:
        console.print("Nothing was found.")
        return
    first = {finding.reason: finding for finding in reversed(document.findings)}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=True)
    for column in ("severity", "finding", "rows", "what to do, and the first of them"):
        table.add_column(column, justify="right" if column == "rows" else "left", overflow="fold")
    for kind in document.kinds:
        example = first[kind.reason]
        told = Text.assemble(
            (kind.remedy, "bold"), f"\nrows {_named(kind.rows)}\n", (f"{example.path} {example.message}", "dim")
        )
        severity = Text(kind.severity.lower(), style=_STYLES.get(kind.severity, ""))
        table.add_row(severity, Text(kind.reason), f"{kind.row_count:,}", told)
    console.print(table)


def _facts(document: DatasetReportDocument) -> list[tuple[str, str]]:
    counts = ", ".join(f"{count:,} with {name}" for name, count in document.severity_counts.items())
    kinds = ", ".join(document.personal_data_kinds)
    split = f"{document.train_count:,} to train on, {document.holdout_count:,} held out"
    return [
        ("dataset", f"{document.name}: {document.state.lower()}"),
        ("contract", document.contract),
        ("digest", document.digest),
        ("rows", f"{document.row_count:,}: {split}, {document.invalid_count:,} invalid"),
        ("findings", f"rows {counts}" if counts else "none"),
        ("personal data", f"looked for {kinds}; {_MODEL_NOTE}" if kinds else "was not looked for"),
    ]


def _kind(group: list[pb.DatasetFinding]) -> ReportKind:
    rows = sorted({finding.row_number for finding in group})
    one = group[0]
    return ReportKind(reason=one.reason, severity=_severity(one), remedy=one.remedy, row_count=len(rows), rows=rows)


def _named(rows: list[int]) -> str:
    more = f" and {len(rows) - _NAMED_ROWS:,} more" if len(rows) > _NAMED_ROWS else ""
    return ", ".join(map(str, rows[:_NAMED_ROWS])) + more


def _severity(finding: pb.DatasetFinding) -> str:
    names = {value: name for name, value in pb.FindingSeverity.items()}
    # A newer server may have more of them.
    return names.get(finding.severity, str(finding.severity)).removeprefix("FINDING_SEVERITY_")


def _state(dataset: pb.GoldenDataset) -> str:
    names = {value: name for name, value in pb.GoldenDatasetState.items()}
    return names.get(dataset.state, str(dataset.state)).removeprefix("GOLDEN_DATASET_STATE_")
