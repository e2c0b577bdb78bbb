"""What a dataset's report looks like, as a document and on a terminal."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Self

import pytest
from rich.console import Console
from typer.testing import CliRunner

from goldsmith.trainer.v1 import golden_dataset_pb2 as pb
from shared.cli.dataset_report import DatasetReportDocument, report_document, show_dataset_report
from shared.cli.main import app

NAME = "tenants/acme/datasets/golden"
HOSTILE = "[bold red]x[/]\x1b]0;owned\x07\x1b[2J\x9b31m\r\b\x7f\u202e\u2066\u200b\u2028\ufeff\U000e0041"


def _finding(row: int, reason: str = "PERSONAL_DATA", severity: str = "WARNING", **fields: str) -> pb.DatasetFinding:
    told = {"path": f"rows[{row}].input", "message": f"of row {row}", "remedy": "remove it"} | fields
    value = pb.FindingSeverity.Value(f"FINDING_SEVERITY_{severity}")
    return pb.DatasetFinding(row_number=row, reason=reason, severity=value, **told)


def _number(reason: str = "PERSONAL_DATA", **fields: str) -> pb.DatasetFinding:
    """What the trainer adds where it does not list all findings of a kind."""
    message = "40000 findings of this kind in all, of which the first 1000 are listed"
    return _finding(1, reason, path="rows", message=message, **fields)


def _dataset(**counts: int) -> pb.GoldenDataset:
    lengths = pb.TokenLengths(
        prompt=pb.TokenQuantiles(p50=10, p95=20, p99=30, max=1_040),
        completion=pb.TokenQuantiles(p50=1, p95=2, p99=3, max=4),
        total=pb.TokenQuantiles(p50=11, p95=22, p99=33, max=1_044),
        context_tokens=2_048, instruction_tokens=300, row_count=100, token_count=9_000, learned_token_count=800,
        train_token_count=8_000, longest_train_tokens=1_000,
    )  # fmt: skip
    return pb.GoldenDataset(
        name=NAME,
        state=pb.GOLDEN_DATASET_STATE_ACTIVE,
        report=pb.DatasetReport(row_count=50_000, finding_counts=counts, token_lengths=lengths),
    )


def _shown(document: DatasetReportDocument) -> str:
    screen = io.StringIO()
    show_dataset_report(Console(width=1_000, file=screen, color_system=None, highlight=False), document)
    return screen.getvalue()


class TestReportDocument:
    """The document of a check."""

    def test_counts_the_rows_that_are_not_listed_too(self) -> None:
        """The report's count stands; a server that has none is counted by its list."""
        findings = [_finding(7), _finding(9), _finding(9), _finding(8, "OTHER")]

        kinds = report_document(_dataset(PERSONAL_DATA=40_000), findings).kinds

        assert [(kind.reason, kind.row_count) for kind in kinds] == [("PERSONAL_DATA", 40_000), ("OTHER", 1)]

    def test_ranks_by_the_rows_that_are_not_listed_too(self) -> None:
        """Not by how many findings are listed."""
        findings = [_finding(1, "FEW"), _finding(2, "FEW"), _finding(3, "MANY")]

        kinds = report_document(_dataset(FEW=2, MANY=3), findings).kinds

        assert [kind.reason for kind in kinds] == ["MANY", "FEW"]

    def test_a_number_of_findings_is_no_finding_of_row_1(self) -> None:
        """It names no row where others do; what concerns the whole dataset keeps its own."""
        findings = [_number(), _finding(7), _finding(9), _finding(100, "DATASET_SMALL", path="rows")]

        kinds = report_document(_dataset(PERSONAL_DATA=40_000, DATASET_SMALL=1), findings).kinds

        assert [kind.rows for kind in kinds] == [[7, 9], [100]]

    def test_a_kind_is_as_severe_as_its_gravest_finding(self) -> None:
        """Wherever that stands, and it ranks by it."""
        findings = [_finding(1, "ROW_TOO_LONG"), _finding(2, "ROW_TOO_LONG", "ERROR"), _finding(3, "OTHER")]

        kinds = report_document(_dataset(ROW_TOO_LONG=2, OTHER=9), findings).kinds

        assert [(kind.reason, kind.severity) for kind in kinds] == [("ROW_TOO_LONG", "ERROR"), ("OTHER", "WARNING")]

    def test_has_all_that_was_measured_in_tokens(self) -> None:
        """Under the names of the trainer's contract."""
        dataset = _dataset()

        lengths = report_document(dataset, []).model_dump()["token_lengths"]

        assert set(lengths) == {field.name for field in pb.TokenLengths.DESCRIPTOR.fields}
        assert lengths["prompt"] == {"p50": 10, "p95": 20, "p99": 30, "max": 1_040}
        assert (lengths["instruction_tokens"], lengths["train_token_count"]) == (300, 8_000)

    def test_has_the_clusters_of_each_kind(self) -> None:
        """As its findings connect rows; fields that are rare are told one by one."""
        findings = [_finding(5, "ROW_DUPLICATED"), _finding(9, "ROW_DUPLICATED"), _finding(7, "FIELD_RARE")]
        for finding, others in zip(findings, ([2], [2, 3], [8]), strict=True):
            finding.related_rows.extend(others)

        document = report_document(_dataset(), findings)

        assert {kind.reason: kind.clusters for kind in document.kinds} == {
            "ROW_DUPLICATED": [[2, 3, 5, 9]],
            "FIELD_RARE": [],
        }
        assert [finding.related_rows for finding in document.findings] == [[2], [2, 3], [8]]
        assert "together 2 + 3 + 5 + 9" in _shown(document)

    def test_counts_outputs(self) -> None:
        """A server of before they were counted tells none."""
        counted = _dataset()
        counted.report.distinct_output_count, counted.report.canonicalized_count = 1_200, 7

        document, old = report_document(counted, []), report_document(_dataset(), [])

        assert (document.distinct_output_count, document.canonicalized_count) == (1_200, 7)
        assert "1,200 different; 7 were spelt otherwise than canonical" in _shown(document)
        assert "were not counted" in _shown(old)

    def test_of_what_was_not_measured_there_is_no_number(self) -> None:
        """Not zeros."""
        dataset = _dataset()
        dataset.report.ClearField("token_lengths")

        document = report_document(dataset, [])

        assert document.token_lengths is None
        assert "were not measured" in _shown(document)

    def test_tells_format_and_lineage(self) -> None:
        """The source and the steps of a curated dataset, nothing for an uploaded one."""
        uploaded, curated = _dataset(), _dataset()
        uploaded.format = pb.GOLDEN_DATASET_FORMAT_CSV
        curated.lineage.source = "tenants/acme/datasets/raw"
        curated.lineage.steps.extend([pb.CURATION_STEP_UNICODE_NFC, pb.CURATION_STEP_DROP_DUPLICATES])

        documents = [report_document(dataset, []) for dataset in (uploaded, curated)]

        assert [(document.format, document.source, document.steps) for document in documents] == [
            ("CSV", "", []),
            ("JSONL", "tenants/acme/datasets/raw", ["UNICODE_NFC", "DROP_DUPLICATES"]),
        ]

    def test_has_all_that_is_known_of_a_teacher(self) -> None:
        """Under the names of the trainer's contract; nothing where every row came with its output."""
        plain, labelled = _dataset(), _labelled()

        without, document = report_document(plain, []), report_document(labelled, [])

        assert (without.teacher, without.synthetic) == (None, None)
        assert document.teacher is not None
        assert document.synthetic is not None
        assert set(document.teacher.model_dump()) == {field.name for field in pb.TeacherLineage.DESCRIPTOR.fields}
        assert set(document.synthetic.model_dump()) == {field.name for field in pb.SyntheticReport.DESCRIPTOR.fields}
        assert (document.teacher.models, document.synthetic.dropped_counts) == (["m", ""], {"TEACHER_DISAGREES": 2})


def _labelled() -> pb.GoldenDataset:
    dataset = _dataset()
    dataset.lineage.teacher.CopyFrom(
        pb.TeacherLineage(
            teacher="large", kind="openai", models=["m", ""], sample_count=3, min_agreement=0.6, answer_count=36
        )
    )
    dataset.report.synthetic.CopyFrom(
        pb.SyntheticReport(unlabelled_count=12, synthetic_count=10, dropped_counts={"TEACHER_DISAGREES": 2})
    )
    return dataset


class TestShowDatasetReport:
    """The whole view."""

    def test_obeys_no_markup_and_no_escape_of_a_tenant(self) -> None:
        """Neither rich's nor the terminal's, in names, paths, messages, reasons and remedies."""
        dataset = _dataset()
        dataset.name = dataset.contract = dataset.digest = HOSTILE
        finding = _finding(1, HOSTILE, path=HOSTILE, message=HOSTILE, remedy=HOSTILE)

        shown = _shown(report_document(dataset, [finding]))

        assert shown.count("[bold red]x[/]") == 7
        assert not {"\x1b", "\x07", "\x9b", "\r", "\u202e"} & set(shown)

    def test_says_which_rows_are_a_teacher_s(self) -> None:
        """Nothing of it where none is."""
        shown, without = _shown(report_document(_labelled(), [])), _shown(report_document(_dataset(), []))

        assert "10 of 12 rows without an output; left out: 2 TEACHER_DISAGREES" in shown
        assert "large (openai: m, base model): 36 answers, 3 a row, 0.6 equal, seed 0" in shown
        assert "synthetic" not in without

    def test_shows_the_first_row_before_the_number_of_findings(self) -> None:
        """And says how many rows are not named."""
        findings = [_number(), *(_finding(row) for row in range(7, 57))]

        shown = _shown(report_document(_dataset(PERSONAL_DATA=40_000), findings))

        assert "rows[7].input of row 7" in shown
        assert "findings of this kind" not in shown
        assert "25, 26 and 39,980 more" in shown

    def test_shows_lengths_against_the_context(self) -> None:
        """In one line."""
        shown = _shown(report_document(_dataset(), []))

        line = next(line for line in shown.splitlines() if line.startswith("tokens"))
        assert "prompt 10/20/30/1,040 · completion 1/2/3/4 · total 11/22/33/1,044" in line
        assert "(p50/p95/p99/max) · context 2,048" in line


class FakeTrainer:
    """A trainer with one dataset, in which a finding is hostile."""

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def dataset(self, _: str) -> pb.GoldenDataset:
        """Checked."""
        return _dataset()

    def findings(self, _: str) -> Iterator[pb.DatasetFinding]:
        """One."""
        yield _finding(1, path=HOSTILE, message=HOSTILE)


class TestReportCommand:
    """`goldsmith dataset report --json`."""

    def test_json_obeys_no_escape_of_a_tenant(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is ASCII without control characters, and says the same."""
        monkeypatch.setattr("shared.cli.dataset.TrainerClient", FakeTrainer)

        shown = CliRunner().invoke(app, ["dataset", "report", NAME, "--json"]).stdout

        assert {character for character in shown if not " " <= character <= "~"} == {"\n"}
        assert json.loads(shown)["findings"][0]["message"] == HOSTILE
