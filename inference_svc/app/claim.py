"""A revision that needs a place in the engine, and how much it may demand for that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from inference_svc.domain.residency import Resident


def _always() -> bool:
    return True


@dataclass(eq=False)
class Claim:
    """By default that of a request."""

    coming: Resident
    is_asked: Callable[[], bool] = _always
    """Whether a request waits for the load by now."""
    replaces: Resident | None = None
    """What leaves the engine when `coming` serves; None: nothing does."""
    closing: Resident | None = None
    """What it closed, so that it becomes idle and makes room."""
    called: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    """Set when it is the first in the line, or may be over."""

    @property
    def is_pressing(self) -> bool:
        """Whether what is in use has to make room: a request waits, or the operator has given it a place for good."""
        return self.is_asked() or self.coming.is_pinned or (self.replaces is not None and self.replaces.is_pinned)

    @property
    def is_over(self) -> bool:
        """Whether it needs no place: it has one, which is not about to be taken from it, or may have none."""
        is_shut = self.coming.is_closing and not self.coming.is_pinned
        return bool(self.coming.rejection) or (self.coming.is_inside and not is_shut)
