"""Timestamps and durations."""

from __future__ import annotations

from datetime import datetime

from google.protobuf import duration_pb2, timestamp_pb2


def timestamp(moment: datetime | None) -> timestamp_pb2.Timestamp | None:
    """A timestamp, or nothing where there is no time yet."""
    if moment is None:
        return None
    value = timestamp_pb2.Timestamp()
    value.FromDatetime(moment)
    return value


def duration(seconds_: float | None) -> duration_pb2.Duration | None:
    """A duration, or nothing where there is none."""
    if seconds_ is None:
        return None
    value = duration_pb2.Duration()
    value.FromNanoseconds(round(seconds_ * 1e9))
    return value


def seconds(value: duration_pb2.Duration) -> float:
    """Seconds of a duration, whatever its fields hold."""
    return value.seconds + value.nanos / 1e9
