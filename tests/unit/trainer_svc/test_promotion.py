"""Evidence held against a promotion policy."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trainer_svc.evidence_sample import compared, sound
from tests.unit.trainer_svc.promotion_sample import DEFAULT, LIVE, evidences, lives, policies, ratios
from trainer_svc.domain.comparison import Comparison, MetricName, Verdict
from trainer_svc.domain.evidence import Evidence
from trainer_svc.domain.measure import Measure
from trainer_svc.domain.promotion import (
    OWN_STOP_RATE,
    CheckOutcome,
    CheckReason,
    PromotionReport,
    check,
    refusal,
)
from trainer_svc.domain.promotion_policy import BuiltInCheck, ForgettingLimits, PromotionPolicy, Threshold


def reasons(report: PromotionReport) -> set[CheckReason | None]:
    """Of the checks that stop it."""
    return {each.reason for each in report.stopping}


class TestCheck:
    """`check`."""

    def test_lets_a_sound_revision_through(self) -> None:
        """Each of the built-in checks was made."""
        report = check(DEFAULT, sound(LIVE), LIVE)

        assert report.passed
        assert {each.name: each.outcome for each in report.checks} == dict.fromkeys(BuiltInCheck, CheckOutcome.PASSED)

    @pytest.mark.parametrize(
        ("broken", "reason"),
        [
            ({"against_live": (compared(-0.1),)}, CheckReason.WORSE_THAN_LIVE),
            ({"against_base": (compared(-0.1),)}, CheckReason.WORSE_THAN_BASE),
            ({"against_chance": (compared(0.02),)}, CheckReason.NO_BETTER_THAN_CHANCE),
            ({"against_chance": (compared(0.06),)}, CheckReason.NO_BETTER_THAN_CHANCE),
            ({"trained_against_chance": (compared(0.02),)}, CheckReason.NO_BETTER_THAN_CHANCE),
            ({"against_bare_base": (compared(0.02),)}, CheckReason.NO_BETTER_THAN_BARE_BASE),
            ({"against_bare_base": (compared(-0.3),)}, CheckReason.NO_BETTER_THAN_BARE_BASE),
            ({"measures": {OWN_STOP_RATE: Measure(0.02, 0.0, 0.07)}}, CheckReason.ENDLESS_ANSWERS),
            ({"memorised": compared(0.9, 0.2)}, CheckReason.MEMORISED),
        ],
        ids=[
            "worse than live",
            "worse than instructions",
            "shuffled labels",
            "hardly better than chance",
            "shuffled labels of the train split",
            "no better than no adapter",
            "worse than no adapter",
            "no stop token",
            "20 rows by heart",
        ],
    )
    def test_stops_each_fault_with_its_own_reason(self, broken: dict[str, object], reason: CheckReason) -> None:
        """And with no other, so that whoever reads it knows what to mend; the figures are told."""
        report = check(DEFAULT, sound(LIVE, **broken), LIVE)

        assert not report.passed
        assert reasons(report) == {reason}
        assert any(character.isdigit() for character in report.stopping[0].description)

    @pytest.mark.parametrize("name", list(BuiltInCheck))
    def test_makes_no_check_that_is_switched_off(self, name: BuiltInCheck) -> None:
        """Each can be, alone."""
        worst = sound(
            LIVE, against_live=(compared(-0.5),), against_base=(compared(-0.5),), against_chance=(compared(0.0),),
            measures={OWN_STOP_RATE: Measure(0.0, 0.0, 0.1)}, memorised=compared(0.9),
            against_bare_base=(compared(0.0),),
        )  # fmt: skip
        policy = PromotionPolicy(disabled=frozenset(BuiltInCheck) - {name})

        assert len(check(DEFAULT, worst, LIVE).stopping) == len(BuiltInCheck)
        assert [each.name for each in check(policy, worst, LIVE).stopping] == [name]
        assert check(PromotionPolicy(disabled=frozenset(BuiltInCheck)), worst, LIVE).checks == ()

    def test_without_evidence_passes_unless_the_policy_asks_for_some(self) -> None:
        """Revisions of before there were evaluations; thresholds, margins and limits always need theirs."""
        report = check(DEFAULT, None, LIVE)
        asking = (
            dataclasses.replace(DEFAULT, is_evaluation_required=True),
            dataclasses.replace(DEFAULT, live_margin=0.1),
            dataclasses.replace(DEFAULT, thresholds=(Threshold("exact_match", 0.0),)),
            dataclasses.replace(DEFAULT, forgetting=ForgettingLimits(kl_divergence=1.0)),
        )

        assert report.passed
        assert {each.outcome for each in report.checks} == {CheckOutcome.NOT_MEASURED}
        assert [reasons(check(policy, None, LIVE)) for policy in asking] == [{CheckReason.NOT_EVALUATED}] * 4

    def test_stops_what_was_not_compared_with_the_live_revision(self) -> None:
        """Another one was live when it was evaluated: what was found then says nothing about this one."""
        other = LIVE.replace("/1", "/2")

        assert reasons(check(DEFAULT, sound(other), LIVE)) == {CheckReason.NOT_COMPARED}
        assert reasons(check(DEFAULT, sound(""), LIVE)) == {CheckReason.NOT_COMPARED}
        assert check(DEFAULT, sound(other), "").passed

    def test_compares_by_the_task_metric_alone(self) -> None:
        """Others are told by whoever measured them, and decide nothing."""
        worse = compared(-0.5, metric=MetricName.ROUGE_L)

        assert check(DEFAULT, sound(LIVE, against_live=(worse, compared(0.0))), LIVE).passed
        assert not check(DEFAULT, sound(LIVE, against_live=(worse,)), LIVE).passed

    def test_a_margin_asks_for_proof_that_it_is_hardly_worse(self) -> None:
        """Undecided is not enough then; significantly, but slightly worse is."""
        policy = PromotionPolicy(live_margin=0.05)
        vague, slight = compared(0.0, 0.1), compared(-0.02, 0.01)

        assert reasons(check(policy, sound(LIVE, against_live=(vague,)), LIVE)) == {CheckReason.WORSE_THAN_LIVE}
        assert check(DEFAULT, sound(LIVE, against_live=(vague,)), LIVE).passed
        assert check(policy, sound(LIVE, against_live=(slight,)), LIVE).passed
        assert not check(DEFAULT, sound(LIVE, against_live=(slight,)), LIVE).passed

    def test_a_margin_needs_enough_rows(self) -> None:
        """A few rows that both answer alike have an interval without width, and prove nothing."""
        policy, alike = PromotionPolicy(live_margin=0.0), compared(0.0, 0.0)

        few, enough = (
            check(policy, sound(LIVE, against_live=(dataclasses.replace(alike, row_count=count),)), LIVE)
            for count in (19, 20)
        )

        assert reasons(few) == {CheckReason.NOT_COMPARED}
        assert "19, where 20" in few.stopping[0].description
        assert enough.passed

    def test_a_gap_to_no_rows_is_none(self) -> None:
        """Where all train rows are synthetic nothing was answered: that is not measured, and not passed."""
        evidence = sound(memorised=Comparison(MetricName.TASK_METRIC, 0.0, -1.0, 1.0, 1.0, 0, Verdict.UNDECIDED))

        (found,) = (each for each in check(DEFAULT, evidence).checks if each.name == BuiltInCheck.NOT_MEMORISED)

        assert (found.outcome, found.reason) == (CheckOutcome.NOT_MEASURED, None)
        assert reasons(check(PromotionPolicy(is_evaluation_required=True), evidence)) == {CheckReason.NOT_EVALUATED}

    def test_a_small_gain_over_the_bare_base_is_enough_where_it_is_certain(self) -> None:
        """No least is asked, as a good base leaves little to gain; a larger one that chance explains is not enough."""
        certain, vague = compared(0.02, 0.01), compared(0.2, 0.3)

        assert check(DEFAULT, sound(against_bare_base=(certain,))).passed
        assert reasons(check(DEFAULT, sound(against_bare_base=(vague,)))) == {CheckReason.NO_BETTER_THAN_BARE_BASE}

    def test_asks_for_no_comparison_with_the_bare_base_that_was_not_measured(self) -> None:
        """Evaluations of earlier releases have none; a policy that requires the evaluation does ask."""
        earlier = sound(against_bare_base=())

        assert check(DEFAULT, earlier).passed
        assert reasons(check(PromotionPolicy(is_evaluation_required=True), earlier)) == {CheckReason.NOT_EVALUATED}

    @pytest.mark.parametrize(
        ("rates", "passes"),
        [
            ({"leaked_format_rate": 1.0, "base_leaked_format_rate": 1.0}, True),
            ({"leaked_format_rate": 0.5, "base_leaked_format_rate": 0.25}, False),
            ({"leaked_format_rate": 0.25}, False),
        ],
    )
    def test_formats_that_the_base_has_too_did_not_leak(self, rates: dict[str, float], passes: bool) -> None:
        """A wide regular expression takes any answer: what comes on top of the base's rate is limited."""
        policy = PromotionPolicy(forgetting=ForgettingLimits(leaked_format_rate=0.1))

        assert reasons(check(policy, sound(forgetting=rates))) == (set() if passes else {CheckReason.FORGOT_TOO_MUCH})

    def test_stops_a_gap_only_where_chance_does_not_explain_it(self) -> None:
        """The lower end of its interval decides, up to the limit itself."""
        vague, clear = compared(0.4, 0.1), compared(0.4, 0.04)

        assert check(DEFAULT, sound(memorised=vague)).passed
        assert reasons(check(DEFAULT, sound(memorised=clear))) == {CheckReason.MEMORISED}
        assert check(DEFAULT, sound(memorised=dataclasses.replace(clear, low=0.32))).passed

    @given(evidences, lives, ratios, st.booleans())
    def test_never_passes_when_a_threshold_is_missed(
        self, evidence: Evidence, live: str, least: float, at_lower_end: bool
    ) -> None:
        """Nor when its metric is unknown, whatever else is good."""
        policy = PromotionPolicy(thresholds=(Threshold("exact_match", least, at_lower_end),))
        found = evidence.measures.get("exact_match")
        reached = found is not None and (found.low if at_lower_end else found.value) >= least

        report = check(policy, evidence, live)

        assert not report.passed or reached
        assert (CheckReason.BELOW_THRESHOLD in reasons(report)) == (found is not None and not reached)

    @given(evidences, policies, lives, st.data())
    def test_better_evidence_never_stops_a_revision(
        self, evidence: Evidence, policy: PromotionPolicy, live: str, data: st.DataObject
    ) -> None:
        """Higher measures, better comparisons, a smaller gap and less forgotten leave what passes passing."""
        better = dataclasses.replace(
            evidence,
            measures={name: _raised(each, data) for name, each in evidence.measures.items()},
            against_live=tuple(_bettered(each, data) for each in evidence.against_live),
            against_base=tuple(_bettered(each, data) for each in evidence.against_base),
            against_chance=tuple(_bettered(each, data) for each in evidence.against_chance),
            trained_against_chance=tuple(_bettered(each, data) for each in evidence.trained_against_chance),
            against_bare_base=tuple(_bettered(each, data) for each in evidence.against_bare_base),
            memorised=evidence.memorised and _lowered(evidence.memorised, data),
            forgetting={name: value * data.draw(ratios) for name, value in evidence.forgetting.items()},
        )

        assert check(policy, better, live).passed >= check(policy, evidence, live).passed

    @given(evidences, policies, lives)
    def test_passes_exactly_when_no_check_gives_a_reason(
        self, evidence: Evidence, policy: PromotionPolicy, live: str
    ) -> None:
        """A failed check always gives one, a passed one never; each description fits into an error's details."""
        report = check(policy, evidence, live)

        assert report.passed == (not report.stopping)
        assert all((each.outcome is CheckOutcome.PASSED) <= (each.reason is None) for each in report.checks)
        assert all((each.outcome is CheckOutcome.FAILED) <= (each.reason is not None) for each in report.checks)
        assert all(len(each.description) <= 250 for each in report.checks)

    def test_the_default_asks_nothing_of_the_first_revision_but_soundness(self) -> None:
        """Where nothing is live and the dataset has no instruction prompt, the rest is measured."""
        report = check(DEFAULT, sound(against_base=()), "")

        assert report.passed
        assert [each.name for each in report.checks if each.outcome is CheckOutcome.NOT_MEASURED] == [
            BuiltInCheck.NOT_WORSE_THAN_LIVE, BuiltInCheck.NOT_WORSE_THAN_BASE,
        ]  # fmt: skip


class TestRefusal:
    """`refusal`."""

    def test_names_each_check_that_stops_it(self) -> None:
        """By its reason, with its figures."""
        report = check(DEFAULT, sound(LIVE, against_live=(compared(-0.1),), memorised=compared(0.9)), LIVE)

        error = refusal("r", report, "hint")

        assert error.reason == "PROMOTION_REFUSED"
        assert [each.path for each in error.violations] == ["WORSE_THAN_LIVE", "MEMORISED"]
        assert "-0.100" in error.violations[0].description


def _raised(found: Measure, data: st.DataObject) -> Measure:
    part = data.draw(ratios)
    return Measure(*(value + part * (1 - value) for value in dataclasses.astuple(found)))


def _bettered(found: Comparison, data: st.DataObject) -> Comparison:
    part = data.draw(ratios)
    # In this form rounding keeps the order of the three.
    moved = [1 - (1 - part) * (1 - value) for value in (found.difference, found.low, found.high)]
    at_least = [Verdict.WORSE, Verdict.UNDECIDED, Verdict.BETTER]
    verdict = data.draw(st.sampled_from(at_least[at_least.index(found.verdict) :]))
    return Comparison(found.metric, *moved, found.p_value, found.row_count, verdict)


def _lowered(found: Comparison, data: st.DataObject) -> Comparison:
    part = data.draw(ratios)
    moved = [(1 - part) * (1 + value) - 1 for value in (found.difference, found.low, found.high)]  # as above
    return Comparison(found.metric, *moved, found.p_value, found.row_count, found.verdict)
