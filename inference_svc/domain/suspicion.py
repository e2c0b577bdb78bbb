"""Who is suspected of having killed the engine: what was in it at each crash, until an answer clears it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

MAX_CRASHES, _MIN_PROOFS = 3, 2
"""An adapter or a request that was in the engine at so many crashes, and was not answered in between, is barred when so
many of them are proofs: everybody else who was there has been cleared since, or it was alone."""
MAX_HINTS = 5
"""So many crashes bar it even without a proof, or a killer among requests that nobody tries again would reach the limit
at which the supervisor gives up (`MAX_DEATHS`)."""
BAR_SECONDS = 3600.0
"""A bar ends so long after the last crash: whoever was barred by mistake, or is harmless to a mended engine, comes
back. One crash more bars again at once, so a killer costs one restart (about 20 s) an hour at most."""
MEMORY_SECONDS = 24 * 3600.0
"""A crash is forgotten after this time."""
_MAX_REMEMBERED = 64
"""Crashes. A supervisor that gives up after seven in ten minutes seldom sees as many in a day; each holds as many works
as run at a time, some hundreds at most."""


@dataclass(frozen=True)
class Work:
    """One thing that the engine does: an answer, or the load of an adapter (`request` is empty then)."""

    adapter: str
    """The engine's name of the adapter; empty for the base model."""
    request: str
    """Fingerprint of everything that decides what the engine does; the same when a client tries again."""


@dataclass
class _Crash:
    """Who was there and is not cleared."""

    time: float
    requests: dict[str, str]
    """Request to its adapter."""
    adapters: dict[str, frozenset[str]]
    """Adapter to all its requests that ran then; none while it was being loaded."""

    def proves_request(self, request: str) -> bool:
        """Whether nobody else is left, but for its own adapter."""
        return self.requests.keys() == {request} and self.adapters.keys() <= {self.requests[request]}

    def proves_adapter(self, adapter: str) -> bool:
        """Whether nobody else is left, but for its own requests."""
        return self.adapters.keys() == {adapter} and set(self.requests.values()) <= {adapter}


class Suspicion:
    """Notes the crashes that each adapter and each request was there at, until an answer clears it.

    A crash with many requests in the engine says little, so suspects are to run one at a time (`is_suspect`): the
    innocent are answered and cleared, and the culprit is the only one that is left of each crash. An innocent request
    that is tried again beside ever new killers is there at their crashes too, but proved guilty of none. A request is
    barred on its own account; an adapter when none of its requests explains all of its crashes, so that one bad request
    does not take its adapter with it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._crashes: deque[_Crash] = deque(maxlen=_MAX_REMEMBERED)

    def crashed(self, works: Iterable[Work]) -> None:
        """Notes what was in the engine when it died."""
        by_adapter: dict[str, set[str]] = {}
        for work in works:
            by_adapter.setdefault(work.adapter, set()).add(work.request)
        self._crashes.append(
            _Crash(
                time=self._clock(),
                requests={r: adapter for adapter, requests in by_adapter.items() for r in requests if r},
                adapters={adapter: frozenset(requests - {""}) for adapter, requests in by_adapter.items() if adapter},
            )
        )

    def answered(self, work: Work) -> None:
        """Clears what the engine survived."""
        clears_request, clears_adapter = not self._bars_request(work.request), not self._bars_adapter(work.adapter)
        for crash in self._crashes:
            if clears_request:
                crash.requests.pop(work.request, None)
            if clears_adapter:
                crash.adapters.pop(work.adapter, None)
        self._forget()

    def loaded(self, adapter: str) -> None:
        """Clears an adapter of the crashes during its loads: this one it survived."""
        if self._bars_adapter(adapter):
            return
        for crash in self._crashes:
            if crash.adapters.get(adapter) == frozenset():
                del crash.adapters[adapter]
        self._forget()

    def is_suspect(self, work: Work) -> bool:
        """Whether it was there at a crash and has not been answered since."""
        self._forget()
        return any(work.request in crash.requests or work.adapter in crash.adapters for crash in self._crashes)

    def barred(self, work: Work) -> str | None:
        """`adapter` or `request`, whichever may not enter the engine now."""
        self._forget()
        if self._bars_request(work.request):
            return "request"
        return "adapter" if self._bars_adapter(work.adapter) else None

    def barred_seconds(self, work: Work) -> float:
        """How long what is barred stays so; 0 when it is not."""
        times = [
            crash.time for crash in self._crashes
            if (work.request in crash.requests and self._bars_request(work.request))
            or (work.adapter in crash.adapters and self._bars_adapter(work.adapter))
        ]  # fmt: skip
        return max(0.0, max(times) + BAR_SECONDS - self._clock()) if times else 0.0

    def _bars_request(self, request: str) -> bool:
        crashes = [crash for crash in self._crashes if request in crash.requests]
        return self._are_enough(crashes, sum(crash.proves_request(request) for crash in crashes))

    def _bars_adapter(self, adapter: str) -> bool:
        crashes = [crash for crash in self._crashes if adapter in crash.adapters]
        asked = [ran for crash in crashes if (ran := crash.adapters[adapter])]  # no request ran during a load
        if asked and frozenset.intersection(*asked):
            return False
        return self._are_enough(crashes, sum(crash.proves_adapter(adapter) for crash in crashes))

    def _are_enough(self, crashes: list[_Crash], proofs: int) -> bool:
        proved = len(crashes) >= MAX_CRASHES and proofs >= _MIN_PROOFS
        return (proved or len(crashes) >= MAX_HINTS) and self._clock() < crashes[-1].time + BAR_SECONDS

    def _forget(self) -> None:
        """Drops crashes that are old, or explained by nobody who is left."""
        now = self._clock()
        kept = [c for c in self._crashes if (c.requests or c.adapters) and now < c.time + MEMORY_SECONDS]
        if len(kept) < len(self._crashes):
            self._crashes = deque(kept, maxlen=_MAX_REMEMBERED)
