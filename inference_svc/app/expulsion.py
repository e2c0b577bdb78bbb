"""What becomes of a revision that was found out while it serves, or after it did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from inference_svc.app.canaries import Canaries
from inference_svc.app.loader import Loader
from inference_svc.app.roster import Roster
from inference_svc.domain.residency import AdapterKey, Resident, ResidentState
from shared.errors import StateConflict


class Expulsion:
    """Closes the guilty. `unload` takes a draining revision on which no request runs out of the engine."""

    def __init__(
        self, roster: Roster, loader: Loader, canaries: Canaries, unload: Callable[[Resident], Awaitable[None]]
    ) -> None:
        self._roster, self._loader, self._canaries, self._unload = roster, loader, canaries, unload

    async def of_content(self, key: AdapterKey, error: StateConflict) -> None:
        """Closes what has the content of an adapter, under every name that it has here, whoever waits to be told."""
        known = self._roster.known.values()
        guilty = [resident for resident in known if resident.key is not None and resident.key.path == key.path]
        for resident in guilty:
            self.of(resident, error)
        for resident in guilty:
            await self._unload(resident)

    def of(self, resident: Resident, error: StateConflict) -> None:
        """Closes a revision; it leaves when its last request has ended, which the engine sees to. Idempotent.

        Aliases go on meaning it: what they should mean instead is its tenant's decision, not ours.
        """
        if not resident.rejection:
            self._loader.bar(resident, error)
        if resident.state is ResidentState.LIVE:
            resident.move(ResidentState.DRAINING)
        elif resident.state is ResidentState.UNLOADED:
            resident.move(ResidentState.REJECTED)
        self._canaries.found_out(resident.revision)
