"""Preference studies, their pairs and verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from goldsmith.trainer.v1 import evaluation_pb2
from goldsmith.trainer.v1 import preference_pb2 as pb
from shared.errors import FieldViolation, InvalidInput
from shared.names import PreferenceStudyName
from trainer_svc.domain.comparison import Verdict
from trainer_svc.domain.preference import (
    DEFAULT_MAX_PAIRS,
    MAX_COMMENT_CHARACTERS,
    MAX_PAIRS,
    MAX_REVIEWER_CHARACTERS,
    Agreement,
    Choice,
    PreferencePair,
    PreferenceResult,
    PreferenceStudy,
    PreferenceVerdict,
    Progress,
)
from trainer_svc.translate.evaluation import measure
from trainer_svc.translate.time import timestamp

_CHOICES = {pb.PreferenceChoice.Value(f"PREFERENCE_CHOICE_{choice.name}"): choice for choice in Choice}
_VERDICTS = {
    verdict: evaluation_pb2.ComparisonVerdict.Value(f"COMPARISON_VERDICT_{verdict.name}") for verdict in Verdict
}


def new_study(name: PreferenceStudyName, wanted: pb.PreferenceStudy, now: datetime) -> PreferenceStudy:
    """What a caller sets of a study."""
    pairs = wanted.max_pairs or DEFAULT_MAX_PAIRS
    return PreferenceStudy(str(name), wanted.revision_a, wanted.revision_b, pairs, wanted.seed, now)


def verdicts(reviewer: str, given: Iterable[pb.PreferenceVerdict]) -> list[PreferenceVerdict]:
    """A reviewer's verdicts. Raises `InvalidInput` that names all faults."""
    messages = list(given)
    faults = [*_reviewer_faults(reviewer), *_count_faults(len(messages))]
    if len(messages) <= MAX_PAIRS:
        faults += _verdict_faults(messages)
    if faults:
        raise InvalidInput("FIELD_INVALID", f"{faults[0].path}: {faults[0].description}", violations=faults)
    return [PreferenceVerdict(one.pair, reviewer, _CHOICES[one.choice], one.comment) for one in messages]


def _reviewer_faults(reviewer: str) -> Iterator[FieldViolation]:
    # Not shown with its control characters, which is what may be wrong with it.
    if not 1 <= len(reviewer) <= MAX_REVIEWER_CHARACTERS or not reviewer.isprintable() or reviewer != reviewer.strip():
        rule = f"must be 1 to {MAX_REVIEWER_CHARACTERS} printable characters without a space at either end"
        yield FieldViolation("reviewer", f"{rule}, got {reviewer[:80]!r}")


def _count_faults(count: int) -> Iterator[FieldViolation]:
    if not 1 <= count <= MAX_PAIRS:
        yield FieldViolation("verdicts", f"must be 1 to {MAX_PAIRS}, got {count}")


def _verdict_faults(messages: Iterable[pb.PreferenceVerdict]) -> Iterator[FieldViolation]:
    places: dict[str, int] = {}
    for place, one in enumerate(messages):
        path, first = f"verdicts[{place}]", places.setdefault(one.pair, place)
        if first != place:
            yield FieldViolation(f"{path}.pair", f"{one.pair[:40]!r} is judged by verdicts[{first}] already")
        if one.choice not in _CHOICES:
            yield FieldViolation(f"{path}.choice", f"must be LEFT, RIGHT, EQUAL or BOTH_BAD, got {one.choice}")
        if len(one.comment) > MAX_COMMENT_CHARACTERS:
            rule = f"must have at most {MAX_COMMENT_CHARACTERS:,} characters"
            yield FieldViolation(f"{path}.comment", f"{rule}, has {len(one.comment):,}")


def pair(shown: PreferencePair) -> pb.PreferencePair:
    """What a reviewer sees, and nothing else."""
    return pb.PreferencePair(id=shown.id, input=shown.input, left_answer=shown.left, right_answer=shown.right)


def study(stored: PreferenceStudy, progress: Progress) -> pb.PreferenceStudy:
    """A study, with its result once it is closed."""
    return pb.PreferenceStudy(
        name=stored.name,
        revision_a=stored.revision_a,
        revision_b=stored.revision_b,
        max_pairs=stored.max_pairs,
        seed=stored.seed,
        common_row_count=stored.common_row_count,
        equal_row_count=stored.equal_row_count,
        pair_count=stored.pair_count,
        judged_pair_count=progress.judged_pair_count,
        reviewers=[
            pb.ReviewerProgress(reviewer=reviewer, verdict_count=count)
            for reviewer, count in progress.verdict_counts.items()
        ],
        create_time=timestamp(stored.create_time),
        close_time=timestamp(stored.close_time),
        result=_result(stored.result) if stored.result else None,
    )


def _result(found: PreferenceResult) -> pb.PreferenceResult:
    return pb.PreferenceResult(
        preferred_a_count=found.a,
        preferred_b_count=found.b,
        tied_count=found.tied,
        preference_rate=found.rate,
        decided_rate=measure(found.decided),
        p_value=found.p_value,
        verdict=_VERDICTS[found.verdict],
        reviewers=[
            pb.ReviewerTally(
                reviewer=one.reviewer,
                preferred_a_count=one.a,
                preferred_b_count=one.b,
                equal_count=one.equal,
                both_bad_count=one.both_bad,
            )
            for one in found.reviewers
        ],
        agreement=_agreement(found.agreement) if found.agreement else None,
    )


def _agreement(found: Agreement) -> pb.ReviewerAgreement:
    return pb.ReviewerAgreement(pair_count=found.pair_count, observed=found.observed, kappa=found.kappa)
