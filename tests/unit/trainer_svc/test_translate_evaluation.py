"""Evaluations between the domain and the contract."""

from __future__ import annotations

import dataclasses

import pytest

from goldsmith.trainer.v1 import evaluation_pb2
from shared.testing import ManualClock
from tests.unit.trainer_svc.evaluation_sample import COMPARISON, HALF, RIGHT, WRONG, evaluation, row
from trainer_svc.domain.comparison import Verdict
from trainer_svc.domain.evaluation import ScoredAnswer
from trainer_svc.domain.job import Job, JobSpec
from trainer_svc.domain.measure import Measure
from trainer_svc.evaluation.summary import metrics_of
from trainer_svc.translate.evaluation import comparisons, evaluated_row, job_evaluation

_JOB = Job("tenants/acme/jobs/j", "d", "a", "live", JobSpec(), ManualClock().now(), revision="r")


class TestJobEvaluation:
    """What GetJobEvaluation answers."""

    def test_says_every_number(self) -> None:
        """Nothing is rounded or left out, and each stands where it belongs."""
        message = job_evaluation(_JOB, evaluation())

        assert (message.job, message.revision) == ("tenants/acme/jobs/j", "r")
        assert [(one.step, one.published) for one in message.checkpoints] == [(5, False), (10, True)]
        own = message.checkpoints[1].constrained
        assert (own.row_count, own.mismatched, own.task_metric.value) == (2, 1, HALF.task_metric.value)
        assert (own.exact_match.value, own.exact_match.low, own.exact_match.high) == dataclasses.astuple(
            HALF.exact_match
        )
        assert own.output_tokens.value == 3.5
        (field,) = own.fields
        assert (field.path, field.golden_count, field.matched, field.mismatched) == ("/a", 2, 1, 1)
        (of_chance,) = message.against_chance
        assert (of_chance.metric, of_chance.difference, of_chance.p_value) == ("exact_match", 0.5, 0.25)
        assert message.memorised == of_chance
        assert list(message.trained_against_chance) == [of_chance]
        forgetting = message.checkpoints[0].forgetting
        assert (forgetting.base_cross_entropy, forgetting.cross_entropy) == (3.0, 3.25)
        assert forgetting.kl_divergence == 0.125
        (benchmark,) = forgetting.benchmarks
        assert (benchmark.name, benchmark.base.value, benchmark.adapter.value) == ("capitals", 0.75, 0.5)

    def test_tells_the_bare_base_from_the_one_with_instructions(self) -> None:
        """Metrics and comparison of each are its own."""
        bare, against = metrics_of([WRONG]), dataclasses.replace(COMPARISON, difference=0.75)
        message = job_evaluation(_JOB, evaluation(bare_base=bare, against_bare_base=(against,)))

        assert (message.bare_base.row_count, message.base.row_count) == (1, 2)
        assert [one.difference for one in message.against_bare_base] == [0.75]
        assert [one.difference for one in message.against_base] == [0.5]

    def test_leaves_out_what_was_not_measured(self) -> None:
        """An absent value is no zero."""
        plain = job_evaluation(_JOB, evaluation(base=None, against_base=(), bare_base=None, against_bare_base=()))

        assert not plain.HasField("base")
        assert not plain.HasField("bare_base")
        assert not plain.HasField("live")
        own = plain.checkpoints[0].constrained
        assert not any(own.HasField(name) for name in ("parse_rate", "execution_match", "rouge_l"))

    def test_says_what_is_live(self) -> None:
        """With its own metrics."""
        message = job_evaluation(_JOB, evaluation(live=HALF, live_revision="before", against_live=(COMPARISON,)))

        assert (message.live_revision, message.live.row_count, len(message.against_live)) == ("before", 2, 1)


class TestEvaluatedRow:
    """A row of ListEvaluatedRows."""

    def test_has_each_answer_with_its_score(self) -> None:
        """Of the adapter always, of others where they answered."""
        score = dataclasses.replace(WRONG, executes_alike=False, rouge_l=0.25)
        message = evaluated_row(row(7, base=ScoredAnswer("of the base", score)))

        assert (message.row_number, message.input, message.golden_output) == (7, "input 7", "golden 7")
        assert (message.adapter.text, message.adapter.exact, message.adapter.matched) == ("answer 7", True, 1)
        assert not message.adapter.HasField("executes_alike")
        assert (message.base.text, message.base.mismatched, message.base.output_tokens) == ("of the base", 1, 4)
        assert (message.base.executes_alike, message.base.rouge_l) == (False, 0.25)
        assert message.base.HasField("executes_alike")
        assert not message.HasField("live")
        assert RIGHT.ended is message.adapter.own_stop


class TestComparisons:
    """One set of answers against another."""

    @pytest.mark.parametrize("verdict", list(Verdict))
    def test_have_a_verdict(self, verdict: Verdict) -> None:
        """Each of the domain's has one of the contract's, and none the unspecified."""
        (message,) = comparisons([dataclasses.replace(COMPARISON, verdict=verdict)])

        assert evaluation_pb2.ComparisonVerdict.Name(message.verdict) == f"COMPARISON_VERDICT_{verdict.name}"


def test_the_sample_is_no_sample_of_zeros() -> None:
    """Numbers that differ tell fields apart."""
    assert HALF.exact_match == Measure(0.5, HALF.exact_match.low, HALF.exact_match.high)
    assert 0 < HALF.exact_match.low < 0.5 < HALF.exact_match.high < 1
