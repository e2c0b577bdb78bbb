"""How much work a call is: lines of Python run, which a busy machine and other threads do not change."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def steps_of(action: Callable[[], object]) -> int:
    """Lines that run in this thread until `action` is over, each turn of a loop anew; native code counts as none."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:  # Any: the tracer's own protocol
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return count
