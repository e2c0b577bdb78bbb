"""Datasets between protobuf and the domain."""

from __future__ import annotations

import dataclasses

import pytest

from goldsmith.trainer.v1 import golden_dataset_pb2
from shared.errors import InvalidInput
from shared.names import DatasetName
from tests.unit.trainer_svc.translate_sample import NOW
from trainer_svc.domain.dataset import Dataset, DatasetFormat, DatasetState, Finding, InvalidRowPolicy, Report
from trainer_svc.domain.finding_kind import FindingFilter, Severity
from trainer_svc.domain.teacher import Labelling, TeacherKind, TeacherSettings
from trainer_svc.translate import dataset

DATASET = Dataset("tenants/a/datasets/d", "tenants/a/contracts/c", "Answer.", "INSERT", NOW)


class TestDataset:
    """Golden datasets."""

    def test_comes_back_as_it_was_sent(self) -> None:
        """Only what a caller may set is read."""
        message = dataset.dataset(DATASET)
        message.state = golden_dataset_pb2.GOLDEN_DATASET_STATE_ACTIVE

        assert dataset.new_dataset(DatasetName("a", "d"), message, NOW) == DATASET

    @pytest.mark.parametrize("format_", DatasetFormat)
    def test_keeps_its_format(self, format_: DatasetFormat) -> None:
        """Without one it is JSON Lines; one that nobody here reads is refused, never guessed."""
        stored = dataclasses.replace(DATASET, format=format_)
        unknown = golden_dataset_pb2.GoldenDataset(format=99)  # type: ignore[arg-type]  # what a newer caller sends

        assert dataset.new_dataset(DatasetName("a", "d"), dataset.dataset(stored), NOW) == stored
        plain = dataset.new_dataset(DatasetName("a", "d"), golden_dataset_pb2.GoldenDataset(), NOW)
        assert plain.format is DatasetFormat.JSONL
        with pytest.raises(InvalidInput, match=r"dataset\.format: must be one of jsonl, csv, parquet"):
            dataset.new_dataset(DatasetName("a", "d"), unknown, NOW)

    def test_keeps_its_split_seed(self) -> None:
        """Of up to 63 bits; without one it is 0."""
        stored = dataclasses.replace(DATASET, split_seed=2**63 - 1)

        assert dataset.new_dataset(DatasetName("a", "d"), dataset.dataset(stored), NOW) == stored
        assert dataset.new_dataset(DatasetName("a", "d"), golden_dataset_pb2.GoldenDataset(), NOW).split_seed == 0

    def test_keeps_its_teacher(self) -> None:
        """What the caller leaves open has the defaults; what it says comes back."""
        asked = TeacherSettings("large", "tenants/a/datasets/e", 2, 5, 0.8, 9)
        stored = dataclasses.replace(DATASET, teacher=asked)
        plain = golden_dataset_pb2.GoldenDataset(teacher=golden_dataset_pb2.TeacherSettings(teacher="large"))
        bare = golden_dataset_pb2.GoldenDataset(teacher=golden_dataset_pb2.TeacherSettings())

        assert dataset.new_dataset(DatasetName("a", "d"), dataset.dataset(stored), NOW) == stored
        assert dataset.new_dataset(DatasetName("a", "d"), plain, NOW).teacher == TeacherSettings("large")
        assert dataset.new_dataset(DatasetName("a", "d"), bare, NOW).teacher == TeacherSettings("")
        assert dataset.new_dataset(DatasetName("a", "d"), golden_dataset_pb2.GoldenDataset(), NOW).teacher is None

    @pytest.mark.parametrize(("field", "value"), [("sample_count", 9), ("example_count", -1), ("min_agreement", 2.0)])
    def test_refuses_settings_of_a_teacher_out_of_range(self, field: str, value: float) -> None:
        """By name."""
        settings = golden_dataset_pb2.TeacherSettings(teacher="large")
        setattr(settings, field, value)

        with pytest.raises(InvalidInput, match=f"dataset.teacher.{field}"):
            dataset.new_dataset(DatasetName("a", "d"), golden_dataset_pb2.GoldenDataset(teacher=settings), NOW)

    def test_names_the_teacher_in_its_lineage(self) -> None:
        """With the digest that a manifest has."""
        labelling = Labelling(TeacherSettings("large"), TeacherKind.OPENAI, ("m",), "sha256:1", "sha256:2", 7)
        stored = dataclasses.replace(DATASET, labelling=labelling, digest="sha256:0")

        lineage = dataset.dataset(stored).lineage

        assert (lineage.source, lineage.teacher.teacher, lineage.teacher.kind) == ("", "large", "openai")
        assert (lineage.teacher.answer_count, lineage.teacher.content_digest) == (7, stored.content_digest)
        assert not dataset.dataset(DATASET).HasField("lineage")

    def test_shows_a_report_once_there_is_one(self) -> None:
        """Absent before the check; counts by kind after."""
        report = Report(10, 7, 2, 1, {"ROW_INVALID": 1}, distinct_output_count=5, canonicalized_count=4)
        checked = Dataset("n", "c", "", "", NOW, state=DatasetState.FAILED, report=report)

        assert not dataset.dataset(DATASET).HasField("report")
        message = dataset.dataset(checked).report
        assert (message.row_count, message.train_count, message.holdout_count, message.invalid_count) == (10, 7, 2, 1)
        assert dict(message.finding_counts) == {"ROW_INVALID": 1}
        assert (message.distinct_output_count, message.canonicalized_count) == (5, 4)

    def test_a_finding_says_what_it_costs_and_what_to_do(self) -> None:
        """Both follow from its reason."""
        message = dataset.finding(Finding(3, "ROW_DUPLICATED", "rows[3].input", "repeats row 1", blocking=False))

        assert message.severity == golden_dataset_pb2.FINDING_SEVERITY_WARNING
        assert message.remedy == "keep one of them"

    def test_a_finding_names_the_other_rows(self) -> None:
        """As numbers, for who reads no messages."""
        message = dataset.finding(Finding(3, "ROW_DUPLICATED", "rows[3].input", "x", related_rows=(1, 7)))

        assert list(message.related_rows) == [1, 7]

    def test_a_filter_for_what_there_is_not_is_refused(self) -> None:
        """It would find nothing for ever, and look like a clean dataset."""
        wanted = dataset.finding_filter(["NEVER_SEEN"], golden_dataset_pb2.FINDING_SEVERITY_UNSPECIFIED)

        assert wanted == FindingFilter(frozenset({"NEVER_SEEN"}), Severity.ADVICE)
        with pytest.raises(InvalidInput, match=r"reasons\[1\]"):
            dataset.finding_filter(["NEVER_SEEN", "ROW_DUPLICATE"], golden_dataset_pb2.FINDING_SEVERITY_ERROR)
        with pytest.raises(InvalidInput, match="min_severity"):
            dataset.finding_filter([], 9)  # type: ignore[arg-type]  # what a newer caller sends

    def test_an_unknown_policy_is_the_strict_one(self) -> None:
        """A newer caller's policy never lets rows slip away."""
        assert dataset.policy(golden_dataset_pb2.INVALID_ROW_POLICY_EXCLUDE) is InvalidRowPolicy.EXCLUDE
        assert dataset.policy(golden_dataset_pb2.INVALID_ROW_POLICY_UNSPECIFIED) is InvalidRowPolicy.REFUSE
        assert dataset.policy(99) is InvalidRowPolicy.REFUSE  # type: ignore[arg-type]  # what a newer caller sends
