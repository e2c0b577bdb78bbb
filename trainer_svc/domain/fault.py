"""Faults of the machine that an exception tells of: no disk, no memory."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from trainer_svc.domain.job import DISK_FULL, OUT_OF_MEMORY, Failure

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FULL_TEXTS = ("No space left on device", "Disk quota exceeded", "database or disk is full", "] . unexpected pos ")
"""Errors of safetensors and SQLite carry the system's words and not its number; torch's zip writer (2.13) says no more
than that fewer bytes were written than it wanted."""
_MEMORY_TEXTS = ("can't allocate memory", "not enough memory", "CUDA out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""torch's CPU allocator raises a bare RuntimeError; torch.OutOfMemoryError is one, too."""

FAILURES = {
    DISK_FULL: Failure(
        DISK_FULL, "the trainer's disk is full; what is on it is unharmed: free some, then create the job again",
        user_error=False,
    ),
    OUT_OF_MEMORY: Failure(
        OUT_OF_MEMORY,
        "the training process ran out of memory: lower spec.batch_size, shorten or leave out the longest rows, or train"
        " in mode QLORA; the operator may give the trainer more memory",
        user_error=False,
    ),
}  # fmt: skip
"""What a job says that ended so; fixed texts, since there may be no byte left to write another."""


def fault_of(error: BaseException) -> str | None:
    """DISK_FULL, OUT_OF_MEMORY, or None where the machine is not at fault.

    The causes are looked at, too: libraries wrap what the system said.
    """
    for link in _chain(error):
        if isinstance(link, OSError) and link.errno in _FULL:
            return DISK_FULL
        if isinstance(link, MemoryError) or (isinstance(link, OSError) and link.errno == errno.ENOMEM):
            return OUT_OF_MEMORY
        text = str(link)
        if any(words in text for words in _FULL_TEXTS):
            return DISK_FULL
        if any(words in text for words in _MEMORY_TEXTS):
            return OUT_OF_MEMORY
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
