"""Every error Goldsmith raises on purpose, as one tree that knows no transport.

    DomainError
      - InvalidInput            the caller must change the request          INVALID_ARGUMENT
      - OutOfRange              an offset or cursor is not where it must be OUT_OF_RANGE
      - Unauthenticated         nobody is known to be calling               UNAUTHENTICATED
      - AccessDenied            the caller may not touch this resource      PERMISSION_DENIED
      - NotFound                no such resource inside the caller's tenant NOT_FOUND
      - AlreadyExists           the id is taken by other content            ALREADY_EXISTS
      - Conflict                somebody changed it meanwhile (etag)        ABORTED
      - StateConflict           the resource's state forbids this           FAILED_PRECONDITION
      - Exhausted               a limit or queue is full                    RESOURCE_EXHAUSTED
      - Unavailable             try another replica, or later               UNAVAILABLE
      - DeadlineExceeded        the caller's time ran out                   DEADLINE_EXCEEDED
      - DataLoss                stored bytes do not match their digest      DATA_LOSS
      - InternalFault           a bug of ours, or a broken guarantee        INTERNAL

The codes on the right live in one table, `shared.rpc.status`; a test fails for a class without one.

To add a class: derive from `DomainError`, say who must act, add the table row. To add a *reason*, pass a new
UPPER_SNAKE string of at most 63 characters and document it in `goldsmith/error/v1/error_reason.proto`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One fault of an input: where it is and what to do about it.

    `path` is a field path (`dataset.rows[12].output`), optionally followed by `#` and a JSON Pointer into that field's
    JSON text (`contract.json_schema#/properties/total/multipleOf`).
    """

    path: str
    description: str


@dataclass(eq=False)
class DomainError(Exception):
    """A failure that a caller can act on.

    `message` speaks the caller's terms and holds the offending value and the limit; `hint` says the next step.
    `metadata` repeats every value of the message for programs; `retry_after_seconds` is set when trying again helps.
    """

    reason: str
    message: str
    hint: str = ""
    violations: Sequence[FieldViolation] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after_seconds: float | None = None

    def __str__(self) -> str:
        """Message, then the hint when there is one."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InvalidInput(DomainError):
    """The request itself is wrong; repeating it unchanged fails again."""


class OutOfRange(DomainError):
    """An offset, index or cursor is not where the server expects it; `metadata` names the expected one."""


class Unauthenticated(DomainError):
    """No valid identity was presented."""


class AccessDenied(DomainError):
    """The identity does not cover the resource, which may not even exist."""


class NotFound(DomainError):
    """The resource does not exist."""


class AlreadyExists(DomainError):
    """The name is taken by a resource with other content."""


class Conflict(DomainError):
    """The etag or the stored content differs from what the caller based the change on."""


class StateConflict(DomainError):
    """The resource exists, but its state does not allow this verb."""


class Exhausted(DomainError):
    """A quota, queue or slot limit is reached."""


class Unavailable(DomainError):
    """The process cannot serve now: it starts, drains, or its engine died."""


class DeadlineExceeded(DomainError):
    """The caller's deadline passed before the work was done."""


class DataLoss(DomainError):
    """Stored bytes are missing or do not match their digest; an operator must act."""


class InternalFault(DomainError):
    """A bug of ours or a broken guarantee; never the caller's fault."""
