"""The page says what the services said, to whoever reads it."""

from __future__ import annotations

import dataclasses
import re
from itertools import pairwise
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from goldsmith.registry.v1 import promotion_pb2
from goldsmith.trainer.v1 import economics_pb2, evaluation_pb2
from shared.report import ReportSource, render
from tests.unit.shared.report.filled import filled_source
from tests.unit.shared.report.parsed import Page, field_value

_NEEDED = (
    "evaluation.checkpoints[1].constrained.exact_match.value",
    "evaluation.checkpoints[1].constrained.exact_match.low",
    "evaluation.checkpoints[0].constrained.task_metric.low",
    "evaluation.checkpoints[1].unconstrained.filler_rate.high",
    "evaluation.checkpoints[1].constrained.fields[0].mismatched",
    "evaluation.checkpoints[1].forgetting.kl_divergence",
    "evaluation.against_live[1].difference",
    "evaluation.against_base[1].p_value",
    "evaluation.bare_base.task_metric.value",
    "evaluation.against_bare_base[1].p_value",
    "evaluation.memorised.difference",
    "job.promotion.checks[1].description",
    "job.spec.learning_rate",
    "rows[1].adapter.matched",
    "progress[29].train_loss",
    "dataset.report.holdout_count",
    "dataset.split_seed",
    "savings.formula[1]",
    "savings.break_even.request_count",
    "revision.digest",
)


@pytest.fixture(scope="module")
def source() -> ReportSource:
    """One in which no two figures are equal."""
    return filled_source()


@pytest.fixture(scope="module")
def page(source: ReportSource) -> Page:
    """Its page."""
    return Page(render(source))


def _words(source: ReportSource) -> str:
    return " ".join(
        " ".join(element.text for element in Page(render(source)).elements if element.tag == "main").split()
    )


class TestFigures:
    """Every figure of a page."""

    def test_equals_the_field_it_names(self, source: ReportSource, page: Page) -> None:
        """In full, whatever the visible text is rounded to."""
        wrong = []
        for element in page.figures:
            if "data-value" not in element.attributes or "data-derived" in element.attributes:
                continue
            path, told = element.attributes["data-source"], element.attributes["data-value"]
            found = field_value(source.roots, path)
            if told != _in_full(found):
                wrong.append((path, told, found))

        assert wrong == []
        assert len(page.figures) > 250

    def test_tells_what_an_expert_needs(self, page: Page) -> None:
        """Each of these is somewhere on the page."""
        assert set(_NEEDED) - {element.attributes["data-source"] for element in page.figures} == set()

    def test_is_rounded_from_its_value(self, page: Page) -> None:
        """A share that is shown in percent is within half of its last digit."""
        shares = [one for one in page.figures if re.search(r"\.(value|low|high|f1)$", one.attributes["data-source"])]
        told = [(float(one.attributes["data-value"]), one.text) for one in shares if "%" in one.text]

        assert len(told) > 100
        assert [pair for pair in told if abs(float(pair[1].rstrip("%\u202f")) / 100 - pair[0]) > 0.00051] == []

    def test_stands_nowhere_without_its_field(self, page: Page) -> None:
        """No digit outside of a figure, but in the scale of a plot and in words that are the same on every page."""
        assert [text for text in page.loose if re.search(r"\d", text.replace("F1", ""))] == []

    def test_of_a_checkpoint_is_the_published_one(self, page: Page) -> None:
        """Headline figures are of no other."""
        told = [one.attributes["data-source"] for one in page.figures if {"p", "li"} & set(one.parents)]

        assert {path[:26] for path in told if path.startswith("evaluation.checkpoints")} == {
            "evaluation.checkpoints[1]."
        }


def _in_full(found: Any) -> str:
    if isinstance(found, Timestamp | Duration):
        return found.ToJsonString()
    if isinstance(found, str | int | float):
        return str(found)
    return str(len(found))


class TestSummary:
    """The first paragraph."""

    @pytest.mark.parametrize(
        ("verdict", "words"),
        [
            (evaluation_pb2.COMPARISON_VERDICT_BETTER, "It is better than the live revision 2"),
            (evaluation_pb2.COMPARISON_VERDICT_WORSE, "It is worse than the live revision 2"),
            (evaluation_pb2.COMPARISON_VERDICT_UNDECIDED, "do not tell whether it is better than the live revision 2"),
        ],
    )
    def test_says_whether_it_is_better(self, verdict: Any, words: str) -> None:
        """By the comparison of the task metric, wherever it stands in the list."""
        source = filled_source()
        source.evaluation.against_live[1].verdict = verdict

        assert words in _words(source)

    @pytest.mark.parametrize(
        ("verdict", "words"),
        [
            (evaluation_pb2.COMPARISON_VERDICT_BETTER, "It is better than the base model alone, which has neither"),
            (evaluation_pb2.COMPARISON_VERDICT_WORSE, "The training did harm."),
            (evaluation_pb2.COMPARISON_VERDICT_UNDECIDED, "No gain by the training is shown."),
        ],
    )
    def test_says_whether_the_training_was_worth_anything(self, verdict: Any, words: str) -> None:
        """By the comparison with the base model alone; evaluations without it say nothing of that."""
        source = filled_source()
        source.evaluation.against_bare_base[1].verdict = verdict
        earlier = filled_source()
        for name in ("bare_base", "against_bare_base"):
            earlier.evaluation.ClearField(name)

        assert words in _words(source)
        assert "than the base model alone" not in _words(earlier)

    def test_says_that_nothing_was_live(self) -> None:
        """There is no verdict then."""
        source = filled_source()
        for name in ("live", "live_revision", "against_live"):
            source.evaluation.ClearField(name)

        assert "No revision was live when it was evaluated" in _words(source)

    def test_says_why_live_was_not_compared(self) -> None:
        """A revision of another contract cannot answer these rows."""
        source = filled_source()
        source.evaluation.ClearField("live")
        source.evaluation.ClearField("against_live")

        assert "It was not compared with the live revision 2, which belongs to another" in _words(source)

    def test_names_the_check_that_stopped_it(self) -> None:
        """With its reason; those that passed are not named there."""
        source = filled_source()
        source.job.promotion.passed = False
        source.job.promotion.checks[1].name = "not_worse_than_live"
        source.job.promotion.checks[1].reason = "WORSE_THAN_LIVE"

        assert "It was not promoted: stopped by “not worse than live” (WORSE_THAN_LIVE)." in _words(source)

    @pytest.mark.parametrize(
        ("mode", "words"),
        [
            (promotion_pb2.PROMOTION_MODE_LIVE, "it was promoted: the alias live"),
            (promotion_pb2.PROMOTION_MODE_CANARY, "it is on trial as the canary"),
            (promotion_pb2.PROMOTION_MODE_MANUAL, "it waits for a person"),
        ],
    )
    def test_says_what_became_of_it(self, mode: Any, words: str) -> None:
        """By the mode of the policy that let it through."""
        source = filled_source()
        source.job.promotion.mode = mode

        assert words in _words(source)

    def test_says_that_rows_are_few(self) -> None:
        """Where the interval is wide, and only there."""
        source = filled_source()
        exact = source.evaluation.checkpoints[1].constrained.execution_match
        exact.low, exact.value, exact.high = 0.4, 0.5, 0.6
        few = _words(source)
        exact.low, exact.high = 0.49, 0.51

        assert "with so few rows the true share may lie anywhere between 40.0 % and 60.0 %" in few
        assert "with so few rows" not in _words(source)


class TestAbsence:
    """What a server did not tell is said in a line."""

    def test_of_promotion(self) -> None:
        """Jobs of earlier releases have no report on it."""
        source = filled_source()
        source.job.ClearField("promotion")

        assert "No checks of a promotion policy were recorded for this job." in _words(source)

    def test_of_a_ledger(self) -> None:
        """An older server keeps none."""
        assert "This server keeps no ledger of requests" in _words(filled_source(savings=None))

    def test_of_traffic(self) -> None:
        """Nothing is saved before a request was answered."""
        words = _words(filled_source(savings=economics_pb2.Savings()))

        assert "No answered request of this revision was counted yet" in words

    def test_of_everything_that_may_be_unset(self) -> None:
        """The least that a job can have makes a page, too."""
        source = filled_source()
        metrics = evaluation_pb2.AnswerMetrics(
            row_count=1, exact_match=evaluation_pb2.Measure(value=1, low=0.2, high=1), field_f1=evaluation_pb2.Measure()
        )
        checkpoint = evaluation_pb2.CheckpointEvaluation(published=True, constrained=metrics, unconstrained=metrics)
        source.job.ClearField("promotion")
        source.job.ClearField("spec")
        evaluation = evaluation_pb2.JobEvaluation(checkpoints=[checkpoint])
        least = dataclasses.replace(source, evaluation=evaluation, rows=(), progress=(), findings=(), savings=None)

        words = _words(least)

        for line in ("The job told no training loss.", "Forgetting was not measured.", "The check found nothing"):
            assert line in words
        assert "No held-out row was stored" in words


class TestForm:
    """What a page may not have, and what it must."""

    def test_needs_nothing_else(self, page: Page) -> None:
        """No script, no link, no address of another place; the policy would bar them, too."""
        assert [one.tag for one in page.elements if one.tag in ("script", "link", "img", "iframe", "object")] == []
        assert [name for one in page.elements for name in one.attributes if name.startswith("on")] == []
        assert [one for one in page.elements if {"src", "href"} & one.attributes.keys()] == []
        assert "url(http" not in page.html
        policy = next(one.attributes for one in page.elements if one.attributes.get("http-equiv"))
        assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

    def test_is_read_aloud(self, page: Page) -> None:
        """Tables have captions, plots have names, headings leave no level out."""
        tables = sum(one.tag == "table" for one in page.elements)
        levels = [int(one.tag[1]) for one in page.elements if re.fullmatch(r"h\d", one.tag)]

        assert tables == sum(one.tag == "caption" for one in page.elements) > 5
        assert [
            one
            for one in page.elements
            if one.tag == "svg" and not {"aria-label", "aria-hidden"} & one.attributes.keys()
        ] == []
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        assert all(one.attributes["scope"] for one in page.elements if one.tag == "th")
