"""Preference studies on the wire: what a stranger may send, and what a reviewer may see."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from goldsmith.trainer.v1 import evaluation_pb2
from goldsmith.trainer.v1 import preference_pb2 as pb
from shared.errors import InvalidInput
from tests.unit.trainer_svc.preference_sample import STUDY, pair, wanted
from trainer_svc.domain.comparison import Verdict
from trainer_svc.domain.measure import Measure
from trainer_svc.domain.preference import (
    Agreement,
    Choice,
    PreferenceResult,
    PreferenceVerdict,
    Progress,
    ReviewerTally,
)
from trainer_svc.translate import preference as translate

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _verdict(own: str = "p1", choice: int = pb.PREFERENCE_CHOICE_LEFT, comment: str = "") -> pb.PreferenceVerdict:
    return pb.PreferenceVerdict(pair=own, choice=choice, comment=comment)  # type: ignore[arg-type]  # also unknown ones


class TestVerdicts:
    """`verdicts`."""

    def test_are_read_by_their_choice(self) -> None:
        """All four, for this reviewer."""
        given = [_verdict(f"p{number}", number, f"c{number}") for number in (1, 2, 3, 4)]

        found = translate.verdicts("Ada Lovelace", given)

        assert [one.choice for one in found] == [Choice.LEFT, Choice.RIGHT, Choice.EQUAL, Choice.BOTH_BAD]
        assert found[0] == PreferenceVerdict("p1", "Ada Lovelace", Choice.LEFT, "c1")

    @pytest.mark.parametrize(
        "reviewer",
        ["", " ", "Ada ", " Ada", "A\nB", "A\x00", "A\x1b[31m", "A\u202eB", "A\u2028", "\ud7ff\ue000", "A" * 101],
    )  # fmt: skip
    def test_refuse_a_reviewer_who_is_no_name(self, reviewer: str) -> None:
        """Control characters, what turns the reading order, nothing at all, too much."""
        with pytest.raises(InvalidInput) as caught:
            translate.verdicts(reviewer, [_verdict()])

        assert [fault.path for fault in caught.value.violations] == ["reviewer"]
        assert str(caught.value).isprintable()

    def test_name_every_fault_at_once(self) -> None:
        """A choice that does not exist, a comment of 1 MB, a pair twice; what is sent is not sent back whole."""
        given = [_verdict("p1", 0), _verdict("p2", 99), _verdict("p3", 1, "x" * (1 << 20)), _verdict("p1")]

        with pytest.raises(InvalidInput) as caught:
            translate.verdicts("Ada", given)

        assert [fault.path for fault in caught.value.violations] == [
            "verdicts[0].choice", "verdicts[1].choice", "verdicts[2].comment", "verdicts[3].pair",
        ]  # fmt: skip
        assert sum(len(fault.description) for fault in caught.value.violations) < 1_000

    @pytest.mark.parametrize("count", [0, 1001])
    def test_are_some_and_not_too_many(self, count: int) -> None:
        """One at least, and as many as a study can have pairs."""
        with pytest.raises(InvalidInput) as caught:
            translate.verdicts("Ada", [_verdict(f"p{number}") for number in range(count)])

        assert [fault.path for fault in caught.value.violations] == ["verdicts"]


class TestPair:
    """`pair`."""

    @pytest.mark.parametrize("is_a_left", [True, False])
    def test_shows_texts_by_side_alone(self, *, is_a_left: bool) -> None:
        """Four fields; none says whose text it is, and there is no golden output."""
        shown = translate.pair(pair(7, is_a_left=is_a_left))

        texts = ("a7", "b7") if is_a_left else ("b7", "a7")
        assert (shown.id, shown.input, shown.left_answer, shown.right_answer) == (f"{7:016x}", "input 7", *texts)
        assert {field.name for field in pb.PreferencePair.DESCRIPTOR.fields} == {
            "id", "input", "left_answer", "right_answer",
        }  # fmt: skip


class TestStudy:
    """`study`."""

    def test_has_no_result_until_it_is_closed(self) -> None:
        """Progress by reviewer is all that is told."""
        told = translate.study(wanted(NOW), Progress(2, {"Ada": 2, "Bob": 1}))

        assert not told.HasField("result")
        assert not told.HasField("close_time")
        assert [(one.reviewer, one.verdict_count) for one in told.reviewers] == [("Ada", 2), ("Bob", 1)]

    def test_tells_every_figure_of_a_closed_one(self) -> None:
        """Each under its name."""
        result = PreferenceResult(
            a=1, b=2, tied=3, rate=0.75, decided=Measure(0.5, 0.25, 0.875), p_value=0.125, verdict=Verdict.WORSE,
            reviewers=(ReviewerTally("Ada", 4, 5, 6, 7),), agreement=Agreement(8, 0.375, -0.5),
        )  # fmt: skip
        closed = dataclasses.replace(
            wanted(NOW), common_row_count=9, equal_row_count=2, pair_count=7, close_time=NOW, result=result
        )

        told = translate.study(closed, Progress(6, {}))

        assert (told.name, told.common_row_count, told.equal_row_count, told.pair_count) == (STUDY, 9, 2, 7)
        assert (told.judged_pair_count, told.max_pairs, told.close_time.ToDatetime(UTC)) == (6, 50, NOW)
        assert told.result == pb.PreferenceResult(
            preferred_a_count=1, preferred_b_count=2, tied_count=3, preference_rate=0.75,
            decided_rate=evaluation_pb2.Measure(value=0.5, low=0.25, high=0.875), p_value=0.125,
            verdict=evaluation_pb2.COMPARISON_VERDICT_WORSE,
            reviewers=[
                pb.ReviewerTally(
                    reviewer="Ada", preferred_a_count=4, preferred_b_count=5, equal_count=6, both_bad_count=7
                )
            ],
            agreement=pb.ReviewerAgreement(pair_count=8, observed=0.375, kappa=-0.5),
        )  # fmt: skip
