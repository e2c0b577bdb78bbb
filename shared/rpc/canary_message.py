"""Canaries between protobuf and the shared types; services and client read them alike."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf import timestamp_pb2

from goldsmith.registry.v1 import adapter_pb2 as pb
from shared.adapter.canary import CanaryRollback, CanarySplit, RollbackPolicy, RollbackReason
from shared.names import RevisionName, invalid_field

REASONS = {each: pb.RollbackReason.Value(f"ROLLBACK_REASON_{each.name}") for each in RollbackReason}
_KNOWN: dict[int, RollbackReason] = {value: each for each, value in REASONS.items()}


def reason_of(value: int, path: str) -> RollbackReason:
    """Raises `InvalidInput` (FIELD_INVALID) for a reason that this version does not know, and for none."""
    if value not in _KNOWN:
        raise invalid_field(path, f"must be one of {', '.join(each.name for each in RollbackReason)}, got {value}")
    return _KNOWN[value]


def split_of(message: pb.CanarySplit, path: str = "alias.canary") -> CanarySplit:
    """A split, what was left open at its documented default.

    Raises `InvalidInput` (FIELD_INVALID) for a malformed revision or time and reasons that this version does not know.
    """
    return CanarySplit(
        revision=RevisionName.parse(message.revision, f"{path}.revision"),
        percent=message.percent,
        policy=rollback_policy_of(message.rollback_policy, f"{path}.rollback_policy"),
        start_time=moment_of(message.start_time, f"{path}.start_time"),
    )


def rollback_policy_of(message: pb.RollbackPolicy, path: str) -> RollbackPolicy:
    """A policy, what was left open at its default.

    Raises `InvalidInput` (FIELD_INVALID) for reasons that this version does not know.
    """
    default = RollbackPolicy()
    asked = {reason_of(value, f"{path}.watched") for value in message.watched}
    watched = tuple(each for each in default.watched if each in asked) if asked else default.watched
    return RollbackPolicy(
        watched=() if message.manual else watched,
        confidence=message.confidence if message.HasField("confidence") else default.confidence,
        rate_margin=message.rate_margin if message.HasField("rate_margin") else default.rate_margin,
        latency_margin=message.latency_margin if message.HasField("latency_margin") else default.latency_margin,
    )


def split_message(split: CanarySplit) -> pb.CanarySplit:
    """The message that `split_of` reads the same split from."""
    return pb.CanarySplit(
        revision=str(split.revision),
        percent=split.percent,
        rollback_policy=rollback_policy_message(split.policy),
        start_time=timestamp_of(split.start_time),
    )


def rollback_policy_message(policy: RollbackPolicy) -> pb.RollbackPolicy:
    """The message that `rollback_policy_of` reads the same policy from."""
    return pb.RollbackPolicy(
        watched=[REASONS[each] for each in policy.watched],
        confidence=policy.confidence,
        rate_margin=policy.rate_margin,
        latency_margin=policy.latency_margin,
        manual=not policy.watched,
    )


def rollback_message(rollback: CanaryRollback) -> pb.CanaryRollback:
    """A roll back that happened."""
    return pb.CanaryRollback(
        revision=str(rollback.revision),
        reason=REASONS[rollback.reason],
        description=rollback.description,
        time=timestamp_of(rollback.time),
    )


def moment_of(stamp: timestamp_pb2.Timestamp, path: str) -> datetime:
    """The moment of a timestamp, to the microsecond.

    Raises `InvalidInput` (FIELD_INVALID) for one outside of the years 1 to 9999, or with nanoseconds of no second.
    """
    try:
        return stamp.ToDatetime(UTC)
    except ValueError as err:
        raise invalid_field(path, "must be a valid timestamp of the years 1 to 9999") from err


def timestamp_of(moment: datetime) -> timestamp_pb2.Timestamp:
    """The timestamp of a moment."""
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(moment)
    return stamp
