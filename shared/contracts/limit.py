"""What a compilation may use, and the refusals of what needs more."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import FieldViolation, InvalidInput

_AGAIN_SECONDS = 0.2
TOO_SLOW = "takes more processor time than a compilation may"


class OutOfTime(BaseException):
    """The processor time is over: raised wherever the code stands.

    No `Exception`, as KeyboardInterrupt is none: libraries take those for faults of what they read. Whoever
    knows the place raises it anew, with the JSON Pointer as its argument.
    """

    @property
    def pointer(self) -> str:
        """Of the part that took the time; empty for the whole, or where it is not known."""
        return str(self.args[0]) if self.args else ""


@contextmanager
def processor_time(seconds: float) -> Iterator[None]:
    """Raises `OutOfTime` inside of the block after so much processor time; for the main thread only.

    Native code is not interrupted: it needs a limit of the kernel's besides.
    """

    def end(*_: object) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGPROF, end)
    try:
        # Zero would be no limit. Again and again: Python drops what is raised in callbacks of its garbage collector.
        signal.setitimer(signal.ITIMER_PROF, max(seconds, 1e-6), _AGAIN_SECONDS)
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def too_large(why: str, place: str = "contract") -> InvalidInput:
    """The refusal of a contract that does not fit the compile limits; `place` is its largest part, where known."""
    what = f"The contract {why}."
    return InvalidInput(
        "CONTRACT_TOO_LARGE",
        what,
        hint="Lower maxLength and maxItems or drop alternatives; a string without maxLength is the smallest of all.",
        violations=[FieldViolation(place, what if place == "contract" else f"{what} This is its largest part.")],
    )
