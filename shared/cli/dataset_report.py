"""A dataset's report as one document: for machines as JSON, for people by kind of finding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from pydantic import BaseModel
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from goldsmith.trainer.v1 import golden_dataset_pb2 as pb
from shared.cli.cluster import clusters_of, named_clusters
from shared.cli.synthetic_report import (
    ReportSynthetic,
    ReportTeacher,
    synthetic_facts,
    synthetic_of,
    teacher_of,
)
from shared.cli.visible import visible
from shared.errors import StateConflict

_STYLES = {"ERROR": "bold red", "WARNING": "yellow", "ADVICE": "cyan"}
_NAMED_ROWS = 20
"""Of a kind, on a screen; the JSON has all that are listed."""
_WHOLE = "rows"
"""Path of what concerns the dataset as a whole. Of a kind that names rows too, it only says how many there are."""
_APART = "FIELD_RARE"
"""Kind whose findings are about a field each: rows that show one have nothing to do with those that show another."""
_MODEL_NOTE = "nothing else: names and places take a model (--personal-data-finder of the trainer)"


class ReportFinding(BaseModel, frozen=True):
    """One thing to fix in one row."""

    row: int
    reason: str
    severity: str
    path: str
    message: str
    related_rows: list[int]
    """The other rows that it is about; the first hundred."""


class ReportKind(BaseModel, frozen=True):
    """All findings with one reason."""

    reason: str
    severity: str
    remedy: str
    row_count: int
    """All of them, listed or not."""
    rows: list[int]
    """Those that are listed, each once, in rising order."""
    clusters: list[list[int]]
    """Rows that listed findings connect, each cluster in rising order; none of kinds about single rows."""


class ReportQuantiles(BaseModel, frozen=True, from_attributes=True):
    """Lengths in tokens that so many of the rows do not exceed."""

    p50: int
    p95: int
    p99: int
    max: int


class ReportTokenLengths(BaseModel, frozen=True, from_attributes=True):
    """`TokenLengths` of the trainer, field by field."""

    prompt: ReportQuantiles
    completion: ReportQuantiles
    total: ReportQuantiles
    context_tokens: int
    instruction_tokens: int
    """Saved in every request."""
    row_count: int
    token_count: int
    learned_token_count: int
    train_token_count: int
    longest_train_tokens: int
    base_model_digest: str
    """Of the base model that they were measured for."""


class DatasetReportDocument(BaseModel, frozen=True):
    """Everything a check told. Keys stay; others may be added."""

    name: str
    contract: str
    state: str
    digest: str
    format: str
    source: str
    """The dataset that it was curated from; empty for an uploaded one."""
    steps: list[str]
    """What the curation did, in this order."""
    teacher: ReportTeacher | None
    """None where no answer is a teacher's, or the source of a curated dataset has it."""
    synthetic: ReportSynthetic | None
    """None where every row came with its output."""
    row_count: int
    train_count: int
    holdout_count: int
    invalid_count: int
    split_seed: int
    """Chose what is held out, if no row said so."""
    distinct_output_count: int
    canonicalized_count: int
    """Rows whose output was spelt otherwise than canonical."""
    severity_counts: dict[str, int]
    """Rows with such a finding."""
    personal_data_kinds: list[str]
    """What was looked for."""
    token_lengths: ReportTokenLengths | None
    """None where no row was measured."""
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
    report = dataset.report
    kinds = [(_gravest(group), _kind(group, report)) for group in grouped.values()]
    kinds.sort(key=lambda pair: (-pair[0], -pair[1].row_count, pair[1].reason))
    return DatasetReportDocument(
        name=dataset.name,
        contract=dataset.contract,
        state=_state(dataset),
        digest=dataset.digest,
        format=_format(dataset),
        source=dataset.lineage.source,
        steps=[_step(step) for step in dataset.lineage.steps],
        teacher=teacher_of(dataset),
        synthetic=synthetic_of(report),
        row_count=report.row_count,
        train_count=report.train_count,
        holdout_count=report.holdout_count,
        invalid_count=report.invalid_count,
        split_seed=dataset.split_seed,
        distinct_output_count=report.distinct_output_count,
        canonicalized_count=report.canonicalized_count,
        severity_counts=dict(sorted(report.severity_counts.items())),
        personal_data_kinds=list(report.personal_data_kinds),
        token_lengths=_token_lengths(report),
        kinds=[kind for _, kind in kinds],
        findings=[_finding(finding) for finding in listed],
    )


def show_dataset_report(console: Console, document: DatasetReportDocument) -> None:
    """Counts, then each kind of finding with what to do, the rows and the first of its messages.

    All text goes through `visible`, since it may quote a tenant's rows.
    """
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for label, value in _facts(document):
        facts.add_row(label, Text(visible(value)))
    console.print(facts)
    if not document.kinds:
        console.print("Nothing was found.")
        return
    first: dict[str, ReportFinding] = {}
    for finding in sorted(document.findings, key=lambda finding: finding.path == _WHOLE):
        first.setdefault(finding.reason, finding)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=True)
    for column in ("severity", "finding", "rows", "what to do, and the first of them"):
        table.add_column(column, justify="right" if column == "rows" else "left", overflow="fold")
    for kind in document.kinds:
        example = first[kind.reason]
        told = Text.assemble(
            (visible(kind.remedy), "bold"),
            f"\nrows {_named(kind)}\n",
            f"together {named_clusters(kind.clusters)}\n" if kind.clusters else "",
            (visible(f"{example.path} {example.message}"), "dim"),
        )
        severity = Text(kind.severity.lower(), style=_STYLES.get(kind.severity, ""))
        table.add_row(severity, Text(visible(kind.reason)), f"{kind.row_count:,}", told)
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
        ("split seed", f"{document.split_seed}, where no row names what is held out"),
        ("outputs", _outputs(document)),
        *synthetic_facts(document.synthetic, document.teacher),
        ("tokens", _lengths(document.token_lengths)),
        ("findings", f"rows {counts}" if counts else "none"),
        ("personal data", f"looked for {kinds}; {_MODEL_NOTE}" if kinds else "was not looked for"),
    ]


def _outputs(document: DatasetReportDocument) -> str:
    if not document.distinct_output_count:
        return "were not counted"
    respelt = f"{document.canonicalized_count:,} were spelt otherwise than canonical"
    return f"{document.distinct_output_count:,} different; {respelt}"


def _lengths(lengths: ReportTokenLengths | None) -> str:
    if lengths is None:
        return "were not measured"
    parts = (("prompt", lengths.prompt), ("completion", lengths.completion), ("total", lengths.total))
    told = " · ".join(f"{name} {_quantiles(quantiles)}" for name, quantiles in parts)
    return f"{told} (p50/p95/p99/max) · context {lengths.context_tokens:,}"


def _quantiles(quantiles: ReportQuantiles) -> str:
    return "/".join(f"{tokens:,}" for tokens in (quantiles.p50, quantiles.p95, quantiles.p99, quantiles.max))


def _token_lengths(report: pb.DatasetReport) -> ReportTokenLengths | None:
    if not report.HasField("token_lengths"):
        return None
    return ReportTokenLengths.model_validate(report.token_lengths)


def _kind(group: Sequence[pb.DatasetFinding], report: pb.DatasetReport) -> ReportKind:
    of_rows = [finding for finding in group if finding.path != _WHOLE] or group
    rows = sorted({finding.row_number for finding in of_rows})
    reason = group[0].reason
    return ReportKind(
        reason=reason,
        severity=_severity(_gravest(group)),
        remedy=group[0].remedy,
        row_count=report.finding_counts.get(reason, len(rows)),
        rows=rows,
        clusters=clusters_of((finding.row_number, *finding.related_rows) for finding in group)
        if reason != _APART
        else [],
    )


def _finding(finding: pb.DatasetFinding) -> ReportFinding:
    return ReportFinding(
        row=finding.row_number,
        reason=finding.reason,
        severity=_severity(finding.severity),
        path=finding.path,
        message=finding.message,
        related_rows=list(finding.related_rows),
    )


def _named(kind: ReportKind) -> str:
    named = kind.rows[:_NAMED_ROWS]
    more = f" and {kind.row_count - len(named):,} more" if kind.row_count > len(named) else ""
    return ", ".join(map(str, named)) + more


def _gravest(group: Iterable[pb.DatasetFinding]) -> int:
    """Findings of one reason may differ: a row that cannot be trained on may still be held out."""
    return max(finding.severity for finding in group)


def _severity(value: int) -> str:
    return _word(pb.FindingSeverity.items(), value, "FINDING_SEVERITY_")


def _state(dataset: pb.GoldenDataset) -> str:
    return _word(pb.GoldenDatasetState.items(), dataset.state, "GOLDEN_DATASET_STATE_")


def _format(dataset: pb.GoldenDataset) -> str:
    value = dataset.format or pb.GOLDEN_DATASET_FORMAT_JSONL  # as the contract reads an unset one
    return _word(pb.GoldenDatasetFormat.items(), value, "GOLDEN_DATASET_FORMAT_")


def _step(value: int) -> str:
    return _word(pb.CurationStep.items(), value, "CURATION_STEP_")


def _word(names: Iterable[tuple[str, int]], value: int, prefix: str) -> str:
    # A newer server may have more of them.
    return {number: name for name, number in names}.get(value, str(value)).removeprefix(prefix)
