"""Who is suspected of having killed the engine: what was in it at each crash, until an answer clears it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MAX_CRASHES = 3
"""An adapter or a request that was in the engine at so many crashes, and was not answered in between, is barred."""
_MAX_SUSPECTS = 10_000


@dataclass(frozen=True)
class Work:
    """One thing that the engine does: an answer, or the load of an adapter (`request` is empty then)."""

    adapter: str
    """The engine's name of the adapter; empty for the base model."""
    request: str
    """Fingerprint of everything that decides what the engine does; the same when a client tries again."""


class Suspicion:
    """Notes the crashes that each adapter and each request was there at, until an answer clears it.

    A crash with many requests in the engine says little, so suspects are to run one at a time (`is_suspect`): the
    innocent are answered and cleared, and the culprit is the only one that is there again. A request is barred when it
    was there at `MAX_CRASHES` crashes; an adapter when none of its requests explains all of its crashes, so that one
    bad request does not take its adapter with it.
    """

    def __init__(self) -> None:
        self._requests: dict[str, int] = {}
        self._adapters: dict[str, list[frozenset[str]]] = {}

    def crashed(self, works: Iterable[Work]) -> None:
        """Notes what was in the engine when it died."""
        by_adapter: dict[str, set[str]] = {}
        for work in works:
            by_adapter.setdefault(work.adapter, set()).add(work.request)
        for adapter, requests in by_adapter.items():
            for request in requests - {""}:
                self._requests[request] = self._requests.pop(request, 0) + 1
            if adapter:
                self._adapters[adapter] = [*self._adapters.pop(adapter, []), frozenset(requests - {""})]
        for table in (self._requests, self._adapters):
            while len(table) > _MAX_SUSPECTS:  # the longest unseen goes
                table.pop(next(iter(table)))

    def answered(self, work: Work) -> None:
        """Clears what the engine survived."""
        if not self._is_barred_request(work.request):
            self._requests.pop(work.request, None)
        if not self._is_barred_adapter(work.adapter):
            self._adapters.pop(work.adapter, None)

    def loaded(self, adapter: str) -> None:
        """Clears an adapter of the crashes during its loads: this one it survived."""
        if adapter in self._adapters and not self._is_barred_adapter(adapter):
            self._adapters[adapter] = [requests for requests in self._adapters[adapter] if requests]
            if not self._adapters[adapter]:
                del self._adapters[adapter]

    def is_suspect(self, work: Work) -> bool:
        """Whether it was there at a crash and has not been answered since."""
        return work.request in self._requests or work.adapter in self._adapters

    def barred(self, work: Work) -> str | None:
        """`adapter` or `request`, whichever may not enter the engine any more."""
        if self._is_barred_request(work.request):
            return "request"
        return "adapter" if self._is_barred_adapter(work.adapter) else None

    def _is_barred_request(self, request: str) -> bool:
        return self._requests.get(request, 0) >= MAX_CRASHES

    def _is_barred_adapter(self, adapter: str) -> bool:
        crashes = self._adapters.get(adapter, [])
        asked = [requests for requests in crashes if requests]  # without those during a load, when no request ran
        return len(crashes) >= MAX_CRASHES and not (asked and frozenset.intersection(*asked))
