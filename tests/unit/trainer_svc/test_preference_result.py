"""What verdicts say, against scipy, scikit-learn and numbers by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from tests.unit.trainer_svc.preference_sample import pair, wanted
from trainer_svc.domain.comparison import Verdict
from trainer_svc.domain.measure import Measure
from trainer_svc.domain.preference import (
    Choice,
    Preference,
    PreferencePair,
    PreferenceVerdict,
    ReviewerTally,
    revision_preferences,
)
from trainer_svc.domain.preference_tally import agreement
from trainer_svc.evaluation.preference import preference_result
from trainer_svc.store.codec import dump, load

PAIRS = [pair(number, is_a_left=number % 2 == 0) for number in range(12)]
STUDIES = st.dictionaries(
    st.tuples(st.sampled_from(PAIRS), st.sampled_from("xyz")), st.sampled_from(Choice), max_size=36
).map(
    lambda found: [PreferenceVerdict(one.id, reviewer, choice) for (one, reviewer), choice in found.items()]
)  # fmt: skip
PREFERENCES = st.sampled_from(Preference)


def _swapped(pairs: Iterable[PreferencePair]) -> list[PreferencePair]:
    """The same texts on the same sides, with the revisions exchanged."""
    return [PreferencePair(one.id, one.input, one.answer_b, one.answer_a, is_a_left=not one.is_a_left) for one in pairs]


def _for_b(count: int, of: int) -> list[PreferenceVerdict]:
    """One reviewer who prefers b in the first of so many pairs, and a in the others."""
    return [
        PreferenceVerdict(f"{n:016x}", "x", Choice.RIGHT if (n % 2 == 0) is (n < count) else Choice.LEFT)
        for n in range(of)
    ]


class TestPair:
    """`PreferencePair.preference`."""

    @pytest.mark.parametrize("is_a_left", [True, False])
    def test_knows_who_stands_on_a_side(self, *, is_a_left: bool) -> None:
        """A choice of a side prefers the revision whose text stands there."""
        one = pair(1, is_a_left=is_a_left)

        assert one.preference(Choice.LEFT) is Preference(one.left[0])
        assert one.preference(Choice.RIGHT) is Preference(one.right[0])
        assert one.preference(Choice.EQUAL) is Preference.EQUAL
        assert one.preference(Choice.BOTH_BAD) is Preference.BOTH_BAD


class TestPreferenceResult:
    """`preference_result`."""

    def test_counts_pairs_and_ties_by_half(self) -> None:
        """By hand: 2 for a, 5 for b, 3 ties, so (5 + 1.5) / 10."""
        verdicts = [*_for_b(5, 7), *(PreferenceVerdict(f"{n:016x}", "x", Choice.EQUAL) for n in (7, 8))]
        verdicts.append(PreferenceVerdict(f"{9:016x}", "x", Choice.BOTH_BAD))

        found = preference_result(PAIRS, verdicts)

        assert (found.a, found.b, found.tied, found.rate) == (2, 5, 3, 0.65)
        assert found.decided.value == 5 / 7
        assert found.p_value == pytest.approx(2 * (21 + 7 + 1) / 2**7)
        assert found.verdict is Verdict.UNDECIDED
        assert found.reviewers == (ReviewerTally("x", a=2, b=5, equal=2, both_bad=1),)
        assert found.agreement is None

    def test_says_who_is_better_beyond_chance(self) -> None:
        """12 of 12 for b are better, none are worse, 9 are not told from chance: p is 0.146."""
        verdicts = [preference_result(PAIRS, _for_b(count, 12)).verdict for count in (12, 9, 0)]

        assert verdicts == [Verdict.BETTER, Verdict.UNDECIDED, Verdict.WORSE]

    def test_of_no_verdicts_is_open(self) -> None:
        """Half, between nothing and all."""
        found = preference_result(PAIRS, [])

        assert (found.rate, found.decided, found.p_value) == (0.5, Measure(0.5, 0.0, 1.0), 1.0)
        assert (found.verdict, found.reviewers, found.agreement) == (Verdict.UNDECIDED, (), None)

    def test_counts_a_pair_once_for_what_most_reviewers_say(self) -> None:
        """Ten reviewers of one pair are one pair; as many for either is a tie."""
        crowd = [PreferenceVerdict(PAIRS[0].id, str(n), Choice.LEFT) for n in range(10)]
        split = [
            PreferenceVerdict(PAIRS[2].id, "x", Choice.LEFT),
            PreferenceVerdict(PAIRS[2].id, "y", Choice.RIGHT),
            PreferenceVerdict(PAIRS[2].id, "z", Choice.BOTH_BAD),
        ]

        found = preference_result(PAIRS, [*crowd, *split])

        assert (found.a, found.b, found.tied) == (1, 0, 1)

    @given(STUDIES)
    def test_mirrors_when_the_revisions_are_exchanged(self, verdicts: list[PreferenceVerdict]) -> None:
        """Rate, interval, counts and verdict turn over; p-value and agreement stay."""
        found, turned = preference_result(PAIRS, verdicts), preference_result(_swapped(PAIRS), verdicts)

        assert (turned.a, turned.b, turned.tied) == (found.b, found.a, found.tied)
        assert turned.rate == pytest.approx(1 - found.rate)
        assert turned.decided.value == pytest.approx(1 - found.decided.value)
        assert turned.decided.low == pytest.approx(1 - found.decided.high)
        assert turned.p_value == pytest.approx(found.p_value)
        assert {found.verdict, turned.verdict} in ({Verdict.UNDECIDED}, {Verdict.BETTER, Verdict.WORSE})
        assert (turned.agreement is None) == (found.agreement is None)
        if found.agreement and turned.agreement:
            assert turned.agreement.observed == pytest.approx(found.agreement.observed)

    @given(STUDIES)
    def test_agrees_with_scipy(self, verdicts: list[PreferenceVerdict]) -> None:
        """Wilson's interval and the exact sign test of the decided pairs; all verdicts are told by reviewer."""
        found = preference_result(PAIRS, verdicts)

        assert found.a + found.b + found.tied == len({verdict.pair for verdict in verdicts})
        assert sum(one.a + one.b + one.equal + one.both_bad for one in found.reviewers) == len(verdicts)
        assert [one.reviewer for one in found.reviewers] == sorted({verdict.reviewer for verdict in verdicts})
        if found.a + found.b:
            test = binomtest(found.b, found.a + found.b, alternative="two-sided")
            interval = test.proportion_ci(0.95, method="wilson")
            assert found.p_value == pytest.approx(test.pvalue)
            assert (found.decided.low, found.decided.high) == pytest.approx((interval.low, interval.high))

    @given(STUDIES)
    def test_survives_its_way_through_the_store(self, verdicts: list[PreferenceVerdict]) -> None:
        """As JSON and back."""
        found = preference_result(PAIRS, verdicts)

        assert load(type(found), dump(found)) == found


class TestAgreement:
    """`agreement`: Fleiss' kappa."""

    @given(st.lists(st.tuples(PREFERENCES, PREFERENCES), min_size=1, max_size=30))
    def test_of_two_reviewers_is_that_of_both_in_both_orders(self, both: list[tuple[Preference, Preference]]) -> None:
        """Scott's pi, which is Cohen's kappa (scikit-learn) where either is counted as the first and as the second."""
        assume(len({kind for one in both for kind in one}) > 1)
        first, other = ([one[place].value for one in both] for place in (0, 1))

        found = agreement({str(n): one for n, one in enumerate(both)})

        assert found is not None
        assert found.kappa == pytest.approx(cohen_kappa_score(first + other, other + first))
        assert found.observed == pytest.approx(sum(one == two for one, two in both) / len(both))

    def test_is_that_of_the_literature(self) -> None:
        """Fleiss' own layout by hand: three reviewers, two pairs, AAA and AAB: P = (1 + 1/3)/2, chance 26/36."""
        a, b = Preference.A, Preference.B

        found = agreement({"1": [a, a, a], "2": [a, a, b], "3": [b]})

        assert found is not None
        assert found.pair_count == 2
        assert found.observed == pytest.approx(2 / 3)
        assert found.kappa == pytest.approx((2 / 3 - 26 / 36) / (1 - 26 / 36))

    def test_is_one_for_reviewers_who_always_agree(self) -> None:
        """And undefined where there is but one kind of verdict: chance would have agreed as well."""
        a, b = Preference.A, Preference.B
        full, uniform = agreement({"1": [a, a], "2": [b, b, b]}), agreement({"1": [a, a], "2": [a, a]})

        assert full is not None
        assert uniform is not None
        assert full.kappa == pytest.approx(1.0)
        assert (uniform.observed, uniform.kappa) == (1.0, None)

    def test_needs_two_verdicts_on_a_pair(self) -> None:
        """Else there is nothing to agree on."""
        assert agreement({"1": [Preference.A], "2": [Preference.B]}) is None


class TestRevisionPreferences:
    """`revision_preferences`."""

    @given(STUDIES)
    def test_are_the_same_figures_from_either_side(self, verdicts: list[PreferenceVerdict]) -> None:
        """What b is over a, a is not over b; each names the other."""
        result = preference_result(PAIRS, verdicts)
        study = dataclasses.replace(wanted(datetime(2026, 1, 1, tzinfo=UTC)), result=result)

        of_a, of_b = revision_preferences(study)

        assert (of_a.other_revision, of_b.other_revision) == (study.revision_b, study.revision_a)
        assert (of_b.rate, of_b.decided, of_b.p_value) == (result.rate, result.decided, result.p_value)
        assert of_a.rate == 1 - of_b.rate
        assert of_a.decided == Measure(1 - of_b.decided.value, 1 - of_b.decided.high, 1 - of_b.decided.low)
        assert of_a.judged_pair_count == of_b.judged_pair_count == result.a + result.b + result.tied
        assert of_a.decided_pair_count == of_b.decided_pair_count == result.a + result.b
