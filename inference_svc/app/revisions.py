"""What aliases and canaries need of the revisions they name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from inference_svc.domain.residency import Resident
from shared.names import RevisionName


class Revisions(Protocol):
    """The fleet, as its aliases and canaries see it."""

    @property
    def known(self) -> Mapping[RevisionName, Resident]:
        """The revisions that are known here, whatever became of them."""

    def register(self, revision: RevisionName, digest: str = "") -> Resident:
        """The revision, known from now on if it was not; its digest may be told later."""

    async def ensure(self, revision: RevisionName) -> Resident:
        """The revision, loaded. Raises `DomainError` when it cannot be."""

    async def beside(self, revision: RevisionName) -> Resident | None:
        """As `ensure`, where that disturbs nobody; None where there is no place for it now."""

    async def retire(self, resident: Resident) -> None:
        """Takes a live revision out of the engine once its last request ended, unless it is on trial."""

    async def pinned(self) -> None:
        """Returns when each pinned alias is served, cannot be, or is not for long: all others come after."""

    def pin_changed(self, resident: Resident) -> None:
        """`Resident.is_pinned` is another one now."""
