"""Policies, and any evidence that may be held against them."""

from __future__ import annotations

import dataclasses

from hypothesis import strategies as st

from trainer_svc.domain.comparison import Comparison, MetricName, Verdict
from trainer_svc.domain.evidence import Evidence
from trainer_svc.domain.measure import Measure
from trainer_svc.domain.promotion import OWN_STOP_RATE
from trainer_svc.domain.promotion_policy import ForgettingLimits, PromotionPolicy, Threshold

LIVE = "tenants/acme/adapters/a/revisions/1"
DEFAULT = PromotionPolicy()
STRICT = PromotionPolicy(
    thresholds=(Threshold("exact_match", 0.7, is_at_lower_end=True), Threshold("task_metric", 0.8)),
    live_margin=0.05,
    forgetting=ForgettingLimits(0.05, 0.1, 0.1),
    is_evaluation_required=True,
)
POLICIES = (
    DEFAULT,
    STRICT,
    dataclasses.replace(DEFAULT, live_margin=0.2),
    dataclasses.replace(STRICT, live_margin=None),
)

ratios = st.floats(0, 1)
differences = st.floats(-1, 1)


@st.composite
def measures(draw: st.DrawFn) -> Measure:
    """A value inside its interval."""
    low, value, high = sorted(draw(st.tuples(ratios, ratios, ratios)))
    return Measure(value, low, high)


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    """A difference inside its interval, with any verdict that goes with it."""
    low, value, high = sorted(draw(st.tuples(differences, differences, differences)))
    decided = [Verdict.BETTER] if low > 0 else [Verdict.WORSE] if high < 0 else []
    verdict = draw(st.sampled_from([Verdict.UNDECIDED, *decided]))
    return Comparison(MetricName.TASK_METRIC, value, low, high, draw(ratios), 50, verdict)


maybe = lambda strategy: st.lists(strategy, max_size=1).map(tuple)  # noqa: E731
evidences = st.builds(
    Evidence,
    row_count=st.integers(0, 1000),
    measures=st.fixed_dictionaries(
        {}, optional={name: measures() for name in ("exact_match", "task_metric", OWN_STOP_RATE)}
    ),
    live_revision=st.sampled_from(["", LIVE]),
    against_live=maybe(comparisons()),
    against_base=maybe(comparisons()),
    against_chance=maybe(comparisons()),
    trained_against_chance=maybe(comparisons()),
    against_bare_base=maybe(comparisons()),
    memorised=st.none() | comparisons(),
    forgetting=st.fixed_dictionaries(
        {}, optional={name: ratios for name, _ in STRICT.forgetting.items()}
    ),
)  # fmt: skip
policies, lives = st.sampled_from(POLICIES), st.sampled_from(["", LIVE])
