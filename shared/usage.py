"""What requests cost and saved, as both services count it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MILLITOKENS = 1000
"""Of a token: means over rows are no whole numbers."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class UsageCounts:
    """Sums over requests. All are whole numbers, so that no order of adding them up gives another sum."""

    answered_requests: int = 0
    failed_requests: int = 0
    prompt_tokens: int = 0
    """Sent to the engine, all attempts."""
    cached_prompt_tokens: int = 0
    """Of these, those that its prefix cache held."""
    output_tokens: int = 0
    saved_instruction_tokens: int = 0
    """That answered requests did not need to send, less the prompts of attempts that came to nothing; negative where
    those, or the base's own default prompt, are longer."""
    saved_output_millitokens: int = 0
    """Thousandths of tokens, of a mean over rows, less those of attempts that came to nothing; negative where the
    adapter writes more than the base model."""
    latency_microseconds: int = 0
    """From arrival to end."""
    engine_microseconds: int = 0
    """Of all attempts."""

    def __add__(self, other: UsageCounts) -> UsageCounts:
        """Both together."""
        return UsageCounts(*(getattr(self, name) + getattr(other, name) for name in COUNTERS))


COUNTERS = tuple(field.name for field in dataclasses.fields(UsageCounts))
SIGNED_COUNTERS = frozenset({"saved_instruction_tokens", "saved_output_millitokens"})


def hour_of(moment: datetime) -> int:
    """Hours since 1970, UTC, of the hour that a moment is in."""
    return (moment - _EPOCH) // timedelta(hours=1)


def hour_begin(hour: int) -> datetime:
    """The moment at which it begins. Inverse of `hour_of`."""
    return _EPOCH + timedelta(hours=hour)
