"""What a watcher of the revisions of a tenant is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

from inference_svc.domain.residency import Resident, ResidentState
from shared.changes import Changes
from shared.errors import Unavailable
from shared.names import RevisionName

HEARTBEAT_SECONDS = 15.0


@dataclass(frozen=True)
class Line:
    """A revision as it is listed now."""

    resident: Resident
    aliases: list[str]
    shares: list[tuple[str, int]]
    """Aliases whose canary it is, with the percent that it gets."""

    @property
    def seen(self) -> tuple[ResidentState, bool, list[str], list[tuple[str, int]]]:
        """What is worth telling when it changes."""
        return self.resident.state, self.resident.is_pinned, self.aliases, self.shares


async def watch(
    changes: Changes, listed: Callable[[], Iterable[Line]]
) -> AsyncIterator[tuple[Resident, list[str]] | None]:
    """Each revision of `listed` with its aliases, then every change; None is a heartbeat.

    A reader that falls behind is told the state that holds by then, not each one between. Raises `Unavailable`
    (NOT_SERVING) when `changes` are closed.
    """
    told: dict[RevisionName, tuple[object, ...]] = {}
    while True:
        mark, before, told = changes.mark(), told, {}  # anew: what is listed no more is forgotten here, too
        for line in listed():
            revision, now = line.resident.revision, line.seen
            told[revision] = now
            if before.get(revision) != now:
                yield line.resident, line.aliases
        if told != before:
            continue
        if changes.closed:
            raise Unavailable("NOT_SERVING", "the service drains", hint="watch another replica")
        if not await Changes.wait(mark, HEARTBEAT_SECONDS):
            yield None
