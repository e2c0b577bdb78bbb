"""What aliases and canaries need of the fleet, and a load that is tried until it is not wanted any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from inference_svc.domain.residency import Resident, ResidentState
from shared.names import RevisionName

_log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.2, 30.0


class Revisions(Protocol):
    """The revisions of a replica."""

    @property
    def known(self) -> Mapping[RevisionName, Resident]:
        """The revisions that were asked for here so far, whatever became of them."""

    def expect(self, revision: RevisionName, digest: str) -> None:
        """The digest of a revision, known before the registry can be asked."""

    async def ensure(self, revision: RevisionName) -> Resident:
        """The revision, loaded. Raises `DomainError` when it cannot be."""

    async def retire(self, resident: Resident) -> None:
        """Takes a live revision out of the engine once its last request ended."""


async def load_while(revisions: Revisions, revision: RevisionName, is_wanted: Callable[[], bool]) -> Resident | None:
    """The loaded revision; None when it is rejected for ever, or not wanted by now.

    Anything else that goes wrong (registry away, disk full, no free slot) is tried again while it is wanted.
    """
    delay = FIRST_RETRY_SECONDS
    while is_wanted():
        try:
            resident = await revisions.ensure(revision)
        except Exception as err:
            _log.exception("revision not loaded", extra={"revision": str(revision), "detail": str(err)})
            found = revisions.known.get(revision)
            if found is not None and found.state is ResidentState.REJECTED and found.rejected_until is None:
                return None
            await asyncio.sleep(delay)
            delay = min(MAX_RETRY_SECONDS, 2 * delay)
            continue
        if not is_wanted():
            return None
        if resident.state is ResidentState.DRAINING:  # taken up again while its last requests still run
            resident.move(ResidentState.LIVE)
        return resident
    return None
