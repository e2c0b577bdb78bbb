"""The one table between domain errors and gRPC status, both ways (https://google.aip.dev/193)."""

from __future__ import annotations

from typing import cast

import grpc
from google.protobuf import any_pb2, duration_pb2, message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from shared import errors
from shared.errors import DomainError, FieldViolation

ERROR_DOMAIN = "goldsmith.dev"
MAX_VIOLATIONS = 32
MAX_DETAIL_BYTES = 4 << 10
"""Details travel in metadata and are lost above 8 KiB (measured); 4 KiB leaves room for proxies' own headers."""
_MAX_TEXT = 300
_MAX_MESSAGE = 1_000

CODES: dict[type[DomainError], grpc.StatusCode] = {
    errors.InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    errors.OutOfRange: grpc.StatusCode.OUT_OF_RANGE,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.AccessDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.Conflict: grpc.StatusCode.ABORTED,
    errors.StateConflict: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Exhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.DataLoss: grpc.StatusCode.DATA_LOSS,
    errors.InternalFault: grpc.StatusCode.INTERNAL,
}
_CLASSES = {code: kind for kind, code in CODES.items()}


def to_status(error: DomainError) -> status_pb2.Status:
    """The rich status of an error; its details stay within `MAX_DETAIL_BYTES`, and what does not fit is counted."""
    code = CODES[type(error)]
    metadata = {key: value[:_MAX_TEXT] for key, value in error.metadata.items()}
    if error.violations:
        metadata["total_violation_count"] = str(len(error.violations))
    details: list[message.Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=ERROR_DOMAIN, metadata=metadata)
    ]
    if error.retry_after_seconds is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(int(error.retry_after_seconds * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if error.violations:
        details.append(_bad_request(error, MAX_DETAIL_BYTES - sum(d.ByteSize() for d in details)))
    status = status_pb2.Status(code=code.value[0], message=str(error)[:_MAX_MESSAGE])
    for detail in details:
        status.details.add().Pack(detail)
    return status


def _bad_request(error: DomainError, room_bytes: int) -> error_details_pb2.BadRequest:
    request = error_details_pb2.BadRequest()
    for violation in error.violations[:MAX_VIOLATIONS]:
        entry = error_details_pb2.BadRequest.FieldViolation(
            field=violation.path[:_MAX_TEXT], description=violation.description[:_MAX_TEXT]
        )
        room_bytes -= entry.ByteSize() + 8
        if room_bytes < 0:
            break
        request.field_violations.append(entry)
    return request


def from_rpc_error(error: grpc.RpcError) -> DomainError:
    """The domain error behind a failed call, as a client sees it; a server that was never reached is `Unavailable`."""
    status = None
    if hasattr(error, "trailing_metadata"):  # errors of grpc.aio have a call's methods without being one
        status = rpc_status.from_call(cast("grpc.Call", error))
    if status is None:
        code = error.code() if hasattr(error, "code") else grpc.StatusCode.UNKNOWN
        kind = _CLASSES.get(code, errors.InternalFault)
        return kind(code.name, error.details() or code.name if hasattr(error, "details") else str(error))
    info, retry, bad = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        _unpack(detail, info, retry, bad)
    name = code_pb2.Code.Name(status.code)
    return _CLASSES.get(grpc.StatusCode[name], errors.InternalFault)(
        info.reason or name,
        status.message,
        violations=[FieldViolation(v.field, v.description) for v in bad.field_violations],
        metadata=dict(info.metadata),
        retry_after_seconds=retry.retry_delay.ToMilliseconds() / 1000 if retry.HasField("retry_delay") else None,
    )


def _unpack(detail: any_pb2.Any, *targets: message.Message) -> None:
    for target in targets:
        if detail.TypeName() == target.DESCRIPTOR.full_name:
            detail.Unpack(target)
