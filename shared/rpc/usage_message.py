"""Usage between protobuf and the shared type; replicas write it, the trainer reads and writes it."""

from __future__ import annotations

from google.protobuf import duration_pb2

from goldsmith.trainer.v1 import economics_pb2 as pb
from shared.usage import UsageCounts


def counts_message(counts: UsageCounts) -> pb.UsageCounts:
    """The message that `counts_of` reads the same counts from."""
    return pb.UsageCounts(
        answered_request_count=counts.answered_requests,
        failed_request_count=counts.failed_requests,
        prompt_token_count=counts.prompt_tokens,
        cached_prompt_token_count=counts.cached_prompt_tokens,
        output_token_count=counts.output_tokens,
        saved_instruction_token_count=counts.saved_instruction_tokens,
        saved_output_millitoken_count=counts.saved_output_millitokens,
        latency=_duration(counts.latency_microseconds),
        engine_time=_duration(counts.engine_microseconds),
    )


def counts_of(message: pb.UsageCounts) -> UsageCounts:
    """Counts as they are written there, whether or not they make sense."""
    return UsageCounts(
        answered_requests=message.answered_request_count,
        failed_requests=message.failed_request_count,
        prompt_tokens=message.prompt_token_count,
        cached_prompt_tokens=message.cached_prompt_token_count,
        output_tokens=message.output_token_count,
        saved_instruction_tokens=message.saved_instruction_token_count,
        saved_output_millitokens=message.saved_output_millitoken_count,
        latency_microseconds=_microseconds(message.latency),
        engine_microseconds=_microseconds(message.engine_time),
    )


def _duration(microseconds: int) -> duration_pb2.Duration:
    value = duration_pb2.Duration()
    value.FromMicroseconds(microseconds)
    return value


def _microseconds(value: duration_pb2.Duration) -> int:
    # By hand: what a stranger wrote may be outside of what the library converts.
    return value.seconds * 1_000_000 + value.nanos // 1000
