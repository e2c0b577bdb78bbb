"""What verdicts of people say of two revisions, beyond chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from scipy.stats import binomtest

from trainer_svc.domain.comparison import Verdict
from trainer_svc.domain.measure import Measure
from trainer_svc.domain.preference import Preference, PreferencePair, PreferenceResult, PreferenceVerdict
from trainer_svc.domain.preference_tally import agreement, judgements, majority, reviewer_tallies
from trainer_svc.evaluation.interval import rate

_LEVEL = 0.05


def preference_result(pairs: Sequence[PreferencePair], verdicts: Sequence[PreferenceVerdict]) -> PreferenceResult:
    """The result of a study; every verdict is on one of the pairs.

    A pair counts once, since two verdicts on one pair are not two pairs: the sign test (Dixon and Mood 1946) takes
    independent ones.
    """
    judged = judgements(pairs, verdicts)
    counts = Counter(map(majority, judged.values()))
    a, b, tied = counts[Preference.A], counts[Preference.B], counts[Preference.EQUAL]
    decided = rate(b, a + b) if a + b else Measure(0.5, 0.0, 1.0)
    p_value = float(binomtest(b, a + b).pvalue) if a + b else 1.0
    return PreferenceResult(
        a=a,
        b=b,
        tied=tied,
        rate=(b + tied / 2) / len(judged) if judged else 0.5,
        decided=decided,
        p_value=p_value,
        verdict=_verdict(decided, p_value),
        reviewers=reviewer_tallies(pairs, verdicts),
        agreement=agreement(judged),
    )


def _verdict(decided: Measure, p_value: float) -> Verdict:
    if p_value >= _LEVEL or decided.low <= 0.5 <= decided.high:
        return Verdict.UNDECIDED
    return Verdict.BETTER if decided.value > 0.5 else Verdict.WORSE
