"""What a dataset's report says of rows that a teacher labelled."""

from __future__ import annotations

from pydantic import BaseModel

from goldsmith.trainer.v1 import golden_dataset_pb2 as pb


class ReportTeacher(BaseModel, frozen=True, from_attributes=True):
    """Where a teacher's answers come from: `TeacherLineage` of the trainer, field by field."""

    teacher: str
    kind: str
    models: list[str]
    examples: str
    example_count: int
    sample_count: int
    """Answers asked for of each row."""
    min_agreement: float
    seed: int
    instructions_digest: str
    answers_digest: str
    answer_count: int
    content_digest: str
    """What an adapter's manifest names as its dataset."""


class ReportSynthetic(BaseModel, frozen=True, from_attributes=True):
    """What became of the rows that came without an output."""

    unlabelled_count: int
    synthetic_count: int
    """Trained on with a teacher's answer."""
    dropped_counts: dict[str, int]
    """Left out, by reason."""


def teacher_of(dataset: pb.GoldenDataset) -> ReportTeacher | None:
    """None of a dataset without a teacher's answers."""
    if not dataset.lineage.HasField("teacher"):
        return None
    return ReportTeacher.model_validate(dataset.lineage.teacher)


def synthetic_of(report: pb.DatasetReport) -> ReportSynthetic | None:
    """None where every row came with its output."""
    if not report.HasField("synthetic"):
        return None
    counts = dict(sorted(report.synthetic.dropped_counts.items()))
    return ReportSynthetic(
        unlabelled_count=report.synthetic.unlabelled_count,
        synthetic_count=report.synthetic.synthetic_count,
        dropped_counts=counts,
    )


def synthetic_facts(report: ReportSynthetic | None, teacher: ReportTeacher | None) -> list[tuple[str, str]]:
    """Labels and values for people; none where no row was labelled."""
    facts: list[tuple[str, str]] = []
    if report is not None:
        dropped = ", ".join(f"{count:,} {reason}" for reason, count in report.dropped_counts.items())
        told = f"{report.synthetic_count:,} of {report.unlabelled_count:,} rows without an output"
        facts.append(("synthetic", f"{told}; left out: {dropped or 'none'}"))
    if teacher is not None:
        models = ", ".join(model or "base model" for model in teacher.models)
        asked = f"{teacher.answer_count:,} answers, {teacher.sample_count} a row, {teacher.min_agreement:g} equal"
        facts.append(("teacher", f"{teacher.teacher} ({teacher.kind}: {models}): {asked}, seed {teacher.seed}"))
    return facts
