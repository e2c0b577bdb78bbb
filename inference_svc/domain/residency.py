"""The life of an adapter revision on this replica."""

from __future__ import annotations

import enum
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from shared.adapter.manifest import AdapterManifest
from shared.contracts.compiled import CompiledContract
from shared.digest import hex_part
from shared.errors import DomainError, NotFound, StateConflict
from shared.names import RevisionName


class ResidentState(enum.StrEnum):
    """Where a revision is in its life here."""

    REGISTERED = "registered"
    FETCHING = "fetching"
    VERIFYING = "verifying"
    LOADING = "loading"
    PROVING = "proving"
    LIVE = "live"
    DRAINING = "draining"
    UNLOADED = "unloaded"
    REJECTED = "rejected"


# LIVE is entered after the revision serves, DRAINING before it stops; both end at once with the engine. A revision that
# was unloaded or drained may come back (roll back); a rejected one never: its digest names the same bytes for ever.
# What was rejected only for a time (`is_pardoned`) begins a new life, as another resident. One that is found out while
# it serves is rejected when its last request has ended: DRAINING, closed, until then; one that has left by then, with
# the engine perhaps, at once.
MOVES: dict[ResidentState, frozenset[ResidentState]] = {
    ResidentState.REGISTERED: frozenset({ResidentState.FETCHING}),
    ResidentState.FETCHING: frozenset({ResidentState.VERIFYING, ResidentState.REJECTED, ResidentState.UNLOADED}),
    ResidentState.VERIFYING: frozenset({ResidentState.LOADING, ResidentState.REJECTED, ResidentState.UNLOADED}),
    ResidentState.LOADING: frozenset({ResidentState.PROVING, ResidentState.REJECTED, ResidentState.UNLOADED}),
    ResidentState.PROVING: frozenset({ResidentState.LIVE, ResidentState.REJECTED, ResidentState.UNLOADED}),
    ResidentState.LIVE: frozenset({ResidentState.DRAINING, ResidentState.UNLOADED}),
    ResidentState.DRAINING: frozenset({ResidentState.LIVE, ResidentState.UNLOADED, ResidentState.REJECTED}),
    ResidentState.UNLOADED: frozenset({ResidentState.FETCHING, ResidentState.REJECTED}),
    ResidentState.REJECTED: frozenset(),
}


QUARANTINED = "ADAPTER_QUARANTINED"


def quarantined(text: str) -> StateConflict:
    """The error for an adapter that computed NaN or infinity here."""
    hint = "it will not be served by this replica again: train a new revision, or roll back to an older one"
    return StateConflict("ADAPTER_QUARANTINED", text, hint=hint)


_INSIDE = frozenset(
    {
        ResidentState.FETCHING, ResidentState.VERIFYING, ResidentState.LOADING, ResidentState.PROVING,
        ResidentState.LIVE, ResidentState.DRAINING,
    }
)  # fmt: skip


@dataclass(frozen=True)
class AdapterKey:
    """How an engine knows an adapter: unique and immutable for each revision and its content.

    `name` is `tenant/adapter/revision@digest12`, `path` an absolute folder named by the digest. Both differ between any
    two contents, so no cache that is keyed by either can mix two. Two revisions of the same content differ by name: one
    leaves the engine without the other.
    """

    name: str
    path: str

    @classmethod
    def of(cls, revision: RevisionName, digest: str, folder: Path) -> Self:
        """The key of a revision whose files, of this digest, lie in `folder`."""
        return cls(f"{revision.tenant}/{revision.adapter}/{revision.number}@{hex_part(digest)[:12]}", str(folder))


@dataclass
class Resident:
    """A revision on this replica with what serving it needs."""

    revision: RevisionName
    digest: str
    """Empty until the registry was asked, which the first load does."""
    on_move: Callable[[ResidentState, float], None] = field(repr=False)
    """Called after each change of state with the state before and the seconds that were spent in it."""
    state: ResidentState = ResidentState.REGISTERED
    entered: float = field(default_factory=time.monotonic, repr=False)
    """When it entered its state, of the monotonic clock, in seconds."""
    rejection: str = ""
    """Why it may not serve, UPPER_SNAKE reason and a sentence; empty as long as nothing is known against it."""
    rejected_until: float | None = None
    """When a rejection for a time ends, of the monotonic clock in seconds; None: the rejection is for ever."""
    is_quarantined: bool = False
    """Whether it is rejected for what it computed."""
    leases: int = 0
    """Requests that began on it and have not ended."""
    expected: int = 0
    """Requests that waited for its load and begin on it next."""
    is_closing: bool = False
    """It has to make room: requests that come now wait until it is loaded again."""
    is_pinned: bool = False
    """It never makes room for another."""
    uses: int = 0
    """Requests that began on it since it came in."""
    last_use: float = -math.inf
    """When the last request on it ended, of the monotonic clock in seconds; minus infinity: none has."""
    warmth: float = -math.inf
    """How often it is used, and how lately (`domain.eviction.Warmth`); minus infinity: never."""
    key: AdapterKey | None = None
    manifest: AdapterManifest | None = None
    contract: CompiledContract | None = field(default=None, repr=False)

    @property
    def is_served(self) -> bool:
        """Whether requests may run on it."""
        return self.state in (ResidentState.LIVE, ResidentState.DRAINING)

    @property
    def is_inside(self) -> bool:
        """Whether it has one of the engine's places, or is on its way into one."""
        return self.state in _INSIDE

    @property
    def is_idle(self) -> bool:
        """Whether no request runs on it, or is about to."""
        return not self.leases and not self.expected

    @property
    def is_open(self) -> bool:
        """Whether a new request may begin on it."""
        return self.is_served and (self.is_pinned or not self.is_closing) and not self.rejection

    def refusal(self) -> DomainError:
        """What is raised for whoever asks for a rejected revision."""
        assert self.rejection, self
        text = f"{self.revision} was rejected: {self.rejection}"
        return quarantined(text) if self.is_quarantined else NotFound("ADAPTER_NOT_FOUND", text)

    def bar(self, error: DomainError) -> None:
        """Notes why it is rejected; no request begins on it from now on."""
        self.rejection = f"{error.reason}: {error.message}"
        self.is_quarantined = error.reason == QUARANTINED
        if error.retry_after_seconds is not None:
            self.rejected_until = time.monotonic() + error.retry_after_seconds

    @property
    def is_pardoned(self) -> bool:
        """Whether it was rejected for a time that is over."""
        rejected = self.state is ResidentState.REJECTED
        return rejected and self.rejected_until is not None and time.monotonic() >= self.rejected_until

    @property
    def is_barred(self) -> bool:
        """Whether who asks for it now is refused."""
        return bool(self.rejection) and not self.is_pardoned

    @property
    def is_condemned(self) -> bool:
        """Whether it is rejected for ever."""
        return bool(self.rejection) and self.rejected_until is None

    @property
    def left_state(self) -> ResidentState:
        """Where it goes when it leaves the engine, or does not reach it: REJECTED for what was found out meanwhile."""
        return ResidentState.REJECTED if self.rejection else ResidentState.UNLOADED

    def move(self, state: ResidentState) -> None:
        """Goes on to `state`; a move outside the table is a bug of ours."""
        assert state in MOVES[self.state], f"{self.revision}: {self.state} -> {state}"
        before, now = self.state, time.monotonic()
        seconds, self.state, self.entered = now - self.entered, state, now
        self.on_move(before, seconds)
