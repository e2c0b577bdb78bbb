"""Time as an input, so that tests decide it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present, timezone-aware in UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present, timezone-aware in UTC."""
        return datetime.now(UTC)
