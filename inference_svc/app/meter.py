"""Tells those who measure what happens to requests and adapters; the use cases call it, and know none of them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from inference_svc.app.progress import Progress
from inference_svc.domain.residency import Resident, ResidentState
from shared.adapter.canary import RollbackReason
from shared.errors import DomainError
from shared.names import AliasName, RevisionName

_log = logging.getLogger(__name__)

OK, CANCELLED, DEADLINE_PASSED, INTERNAL = "OK", "CANCELLED", "DEADLINE_PASSED", "INTERNAL"
_DEADLINE_SLACK_SECONDS = 0.1
"""The transport may cancel a request at its deadline a little before our own clock says so."""


class Observer:
    """Someone who measures. Calls come from the event loop, take microseconds and raise nothing.

    It does nothing, as does a class that derives from it at events that it does not name.
    """

    def request_begins(self, progress: Progress) -> None:
        """A request arrived."""

    def request_ends(self, progress: Progress, outcome: str) -> None:
        """It ended: OK, CANCELLED (the caller left), or the reason of its error (`goldsmith.error.v1.ErrorReason`)."""

    def revision_moves(self, resident: Resident, before: ResidentState, seconds: float) -> None:
        """A revision entered `resident.state` after `seconds` in `before`; a new one enters REGISTERED from itself."""

    def revision_pinned(self, resident: Resident) -> None:
        """`resident.is_pinned` is another one now."""

    def pins_change(self, unknown: int) -> None:
        """So many pinned aliases are not known here from now on."""

    def revision_forgotten(self, resident: Resident) -> None:
        """A revision that left the engine long ago is no longer known here."""

    def alias_flips(self, alias: AliasName, revision: RevisionName) -> None:
        """An alias means another revision from now on."""

    def revision_evicted(self, revision: RevisionName) -> None:
        """An idle revision leaves the engine to make room."""

    def canary_rolls_back(self, alias: AliasName, revision: RevisionName, reason: RollbackReason) -> None:
        """This replica found an alias's canary to be worse, and sends it nothing any more."""


class Meter:
    """Passes each event on to every observer. One that fails is logged: neither the others nor the request notice."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._observers = observers

    @contextmanager
    def request(self, progress: Progress) -> Iterator[None]:
        """Around the whole of a request."""
        self._tell(lambda observer: observer.request_begins(progress))
        error: BaseException | None = None
        try:
            yield
        except BaseException as err:
            error = err
            raise
        finally:
            outcome = outcome_of(progress, error)
            self._tell(lambda observer: observer.request_ends(progress, outcome))

    def revision_moves(self, resident: Resident, before: ResidentState, seconds: float) -> None:
        """See `Observer`."""
        self._tell(lambda observer: observer.revision_moves(resident, before, seconds))

    def revision_pinned(self, resident: Resident) -> None:
        """See `Observer`."""
        self._tell(lambda observer: observer.revision_pinned(resident))

    def pins_change(self, unknown: int) -> None:
        """See `Observer`."""
        self._tell(lambda observer: observer.pins_change(unknown))

    def revision_forgotten(self, resident: Resident) -> None:
        """See `Observer`."""
        self._tell(lambda observer: observer.revision_forgotten(resident))

    def alias_flips(self, alias: AliasName, revision: RevisionName) -> None:
        """See `Observer`."""
        self._tell(lambda observer: observer.alias_flips(alias, revision))

    def revision_evicted(self, revision: RevisionName) -> None:
        """See `Observer`."""
        self._tell(lambda observer: observer.revision_evicted(revision))

    def canary_rolls_back(self, alias: AliasName, revision: RevisionName, reason: RollbackReason) -> None:
        """See `Observer`."""
        self._tell(lambda observer: observer.canary_rolls_back(alias, revision, reason))

    def _tell(self, event: Callable[[Observer], None]) -> None:
        for observer in self._observers:
            try:
                event(observer)
            except Exception:  # whatever it is: an answer that is right must not end as an error
                _log.exception("an observer failed", extra={"observer": type(observer).__name__})


UNOBSERVED = Meter()


def outcome_of(progress: Progress, error: BaseException | None) -> str:
    """What became of a request, in one word that quotes nobody."""
    if error is None or progress.is_answered:  # a reader who has the answer closes the stream
        return OK
    if isinstance(error, DomainError):
        return error.reason
    if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
        late = time.monotonic() - progress.begin >= progress.deadline_seconds - _DEADLINE_SLACK_SECONDS
        return DEADLINE_PASSED if late else CANCELLED
    return INTERNAL
