"""What reviewers said, counted by pair and by reviewer, and how far they agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from trainer_svc.domain.preference import Agreement, Preference, PreferencePair, PreferenceVerdict, ReviewerTally

Judgements = Mapping[str, Sequence[Preference]]
"""What was preferred of each pair that has a verdict, by its id."""


def judgements(pairs: Iterable[PreferencePair], verdicts: Iterable[PreferenceVerdict]) -> Judgements:
    """Verdicts on sides as preferences of revisions."""
    known = {pair.id: pair for pair in pairs}
    found: defaultdict[str, list[Preference]] = defaultdict(list)
    for verdict in verdicts:
        found[verdict.pair].append(known[verdict.pair].preference(verdict.choice))
    return found


def majority(preferences: Iterable[Preference]) -> Preference:
    """`A` or `B` where more verdicts are for it than for the other, else `EQUAL`."""
    counts = Counter(preferences)
    lead = counts[Preference.A] - counts[Preference.B]
    if lead == 0:
        return Preference.EQUAL
    return Preference.A if lead > 0 else Preference.B


def reviewer_tallies(
    pairs: Iterable[PreferencePair], verdicts: Iterable[PreferenceVerdict]
) -> tuple[ReviewerTally, ...]:
    """Each reviewer's verdicts by what they preferred, sorted by name."""
    known = {pair.id: pair for pair in pairs}
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for verdict in verdicts:
        counts[verdict.reviewer][known[verdict.pair].preference(verdict.choice).value] += 1
    return tuple(ReviewerTally(reviewer, **counts[reviewer]) for reviewer in sorted(counts))


def agreement(judged: Judgements) -> Agreement | None:
    """Fleiss' kappa (1971) over pairs with two verdicts or more; None without any.

        P_i = sum_j n_ij (n_ij - 1) / (n_i (n_i - 1))    p_j = mean_i n_ij / n_i
        kappa = (mean_i P_i - sum_j p_j^2) / (1 - sum_j p_j^2)

    Of n_i verdicts on pair i, n_ij are j. Where pairs have different n_i this is the form of Gwet (Handbook of
    Inter-Rater Reliability, 2014, chapter 2).
    """
    several = [Counter(preferences) for preferences in judged.values() if len(preferences) > 1]
    if not several:
        return None
    observed = sum(map(_same, several)) / len(several)
    shares = [sum(counts[kind] / counts.total() for counts in several) / len(several) for kind in Preference]
    chance = sum(share**2 for share in shares)
    is_uniform = sum(share > 0 for share in shares) == 1
    return Agreement(len(several), observed, None if is_uniform else (observed - chance) / (1 - chance))


def _same(counts: Counter[Preference]) -> float:
    total = counts.total()
    return sum(count * (count - 1) for count in counts.values()) / (total * (total - 1))
