"""Studies in which people compare two revisions blindly: pairs, verdicts, and what comes out."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from trainer_svc.domain.comparison import Verdict
from trainer_svc.domain.measure import Measure
from trainer_svc.domain.registry import RevisionPreference

DEFAULT_MAX_PAIRS, MAX_PAIRS = 50, 1_000
MAX_REVIEWERS = 100
MAX_REVIEWER_CHARACTERS = 100
MAX_COMMENT_CHARACTERS = 2_000


class Choice(enum.StrEnum):
    """What a reviewer says, who sees sides."""

    LEFT = "left"
    RIGHT = "right"
    EQUAL = "equal"
    BOTH_BAD = "both_bad"


class Preference(enum.StrEnum):
    """What that means for the revisions."""

    A = "a"
    B = "b"
    EQUAL = "equal"
    BOTH_BAD = "both_bad"


@dataclass(frozen=True)
class PreferencePair:
    """Answers of both revisions to one held-out row. Only `left` and `right` may leave the service."""

    id: str
    """16 hexadecimal digits that tell nothing of the row, nor of the sides."""
    input: str
    answer_a: str
    answer_b: str
    is_a_left: bool

    @property
    def left(self) -> str:
        """What stands on the left."""
        return self.answer_a if self.is_a_left else self.answer_b

    @property
    def right(self) -> str:
        """What stands on the right."""
        return self.answer_b if self.is_a_left else self.answer_a

    def preference(self, choice: Choice) -> Preference:
        """Which revision a choice of a side prefers."""
        if choice in (Choice.EQUAL, Choice.BOTH_BAD):
            return Preference(choice.value)
        return Preference.A if (choice is Choice.LEFT) is self.is_a_left else Preference.B


@dataclass(frozen=True)
class PreferenceVerdict:
    """One reviewer's verdict on one pair."""

    pair: str
    reviewer: str
    choice: Choice
    comment: str = ""


@dataclass(frozen=True)
class ReviewerTally:
    """Verdicts of one reviewer by what they preferred."""

    reviewer: str
    a: int = 0
    b: int = 0
    equal: int = 0
    both_bad: int = 0


@dataclass(frozen=True)
class Agreement:
    """How far reviewers agree on the pairs that have two verdicts or more."""

    pair_count: int
    observed: float
    """Share of two verdicts on a pair that are the same, the mean of the pairs."""
    kappa: float | None
    """Beyond chance; None where all verdicts are the same."""


@dataclass(frozen=True)
class PreferenceResult:
    """Pairs by what most of their reviewers preferred, and what that says of b over a."""

    a: int
    b: int
    tied: int
    rate: float
    """Share of pairs for b, a tie counting half; 0.5 of none."""
    decided: Measure
    """Share for b of the pairs without ties; 0.5 of none."""
    p_value: float
    """Of the exact sign test, two-sided."""
    verdict: Verdict
    """On b."""
    reviewers: tuple[ReviewerTally, ...]
    """By name."""
    agreement: Agreement | None
    """None where no pair has two verdicts."""


@dataclass(frozen=True)
class PreferenceStudy:
    """A study as it is stored. It takes verdicts until it has a result."""

    name: str
    revision_a: str
    revision_b: str
    max_pairs: int
    seed: int
    create_time: datetime
    common_row_count: int = 0
    equal_row_count: int = 0
    pair_count: int = 0
    pairs_digest: str = ""
    """Blob with a `PreferencePair` a line."""
    close_time: datetime | None = None
    result: PreferenceResult | None = None


@dataclass(frozen=True)
class Progress:
    """How far a study is."""

    judged_pair_count: int
    verdict_counts: dict[str, int]
    """By reviewer, sorted by name."""


def revision_preferences(study: PreferenceStudy) -> tuple[RevisionPreference, RevisionPreference]:
    """What a closed study says of revision a, and of b: the same figures, seen from either side."""
    result = study.result
    assert result is not None, "only a closed study has a result"
    decided = result.a + result.b
    of_b = RevisionPreference(
        study.name, study.revision_a, decided + result.tied, decided, result.rate, result.decided, result.p_value
    )
    seen_from_a = Measure(1 - result.decided.value, 1 - result.decided.high, 1 - result.decided.low)
    of_a = RevisionPreference(
        study.name, study.revision_b, decided + result.tied, decided, 1 - result.rate, seen_from_a, result.p_value
    )
    return of_a, of_b
