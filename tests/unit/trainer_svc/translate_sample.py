"""The moment that is translated."""

from __future__ import annotations

from datetime import UTC, datetime

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
"""To the millisecond: a conversion that cuts it to seconds would show."""
