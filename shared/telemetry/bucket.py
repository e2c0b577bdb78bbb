"""Bounds of histogram buckets, chosen once so that histograms can be compared."""

from __future__ import annotations

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""From a warm lookup to the longest request that is served (`MAX_DEADLINE_SECONDS`)."""
JOB_SECONDS = (1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400)
"""From a refusal at the first look to a day."""
