"""Priority lanes: who waits for an answer, and who only wants it some day."""

from __future__ import annotations

import enum


class Lane(enum.StrEnum):
    """A request's own urgency; it never buys a tenant a larger share of the lane."""

    INTERACTIVE = "interactive"
    """Somebody waits."""
    BATCH = "batch"
    """Nobody waits: takes what interactive requests leave, and always a little."""


LANE_WEIGHTS = {Lane.INTERACTIVE: 8.0, Lane.BATCH: 1.0}
"""Shares of the tokens while both lanes have requests waiting. A ninth keeps batch work moving on a replica that is
never idle; an interactive request then waits for at most one batch request in nine."""
