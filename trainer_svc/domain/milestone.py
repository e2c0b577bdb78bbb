"""Which states of an adapter are kept on the way and evaluated after the training."""

from __future__ import annotations

import math

DEFAULT_MILESTONES = 4
"""Enough to see a curve turn. Each is evaluated like the published adapter, for about the time of ten validations."""
MAX_MILESTONES = 20


def milestone_steps(step_count: int, count: int) -> tuple[int, ...]:
    """Steps after which the adapter is kept: evenly spread, the last among them; fewer in a run of fewer steps."""
    return tuple(sorted({math.ceil(step_count * part / count) for part in range(1, count + 1)}))
