"""How many different adapters run at once, and how a cold one gets in between hot ones."""

from __future__ import annotations

from collections import Counter

from inference_svc.domain.fair_queue import Ticket


class AdapterRoom:
    """Keeps the engine's batch to `limit` adapters, without letting a cold one starve.

    vLLM's scheduler passes over requests whose adapter would be one more than `max_loras` in a step, for as long as the
    others have work: a cold adapter starves inside the engine, holding a place that decodes nothing. So no more
    adapters are let in than run, and requests of running ones may overtake. Once `patience` later requests have
    overtaken one, it is due: the running adapter with the fewest requests gets no more of them, and the one that is
    due goes before all others as soon as it fits. One at a time.

    `limit` None switches all of this off: requests go in fair order, whatever their adapters.
    """

    def __init__(self, limit: int | None, patience: int = 0) -> None:
        self._limit, self._patience = limit, patience
        self._running: Counter[str] = Counter()
        self._due: Ticket | None = None
        self._closing: str | None = None

    @property
    def due(self) -> Ticket | None:
        """The request that goes before all others as soon as it fits."""
        return self._due

    def fits(self, ticket: Ticket) -> bool:
        """Whether the engine can decode the request in its next step."""
        if self._limit is None or ticket.adapter is None:
            return True
        if ticket.adapter in self._running:
            return ticket.adapter != self._closing
        return len(self._running) < self._limit

    def overtake(self, ticket: Ticket) -> None:
        """Another went ahead of a request that does not fit."""
        ticket.overtaken += 1
        if self._due is None and ticket.overtaken >= self._patience:
            self._due = ticket
            self._closing = min(self._running, key=self._running.__getitem__)

    def enter(self, ticket: Ticket) -> None:
        """The engine begins with a request."""
        self.forget(ticket)
        if ticket.adapter is not None:
            self._running[ticket.adapter] += 1

    def leave(self, ticket: Ticket) -> None:
        """The engine is done with it."""
        if ticket.adapter is not None:
            self._running[ticket.adapter] -= 1
            if not self._running[ticket.adapter]:
                del self._running[ticket.adapter]

    def forget(self, ticket: Ticket) -> None:
        """A request is due no more: it runs, went away, or may not run yet."""
        if self._due is ticket:
            self._due = self._closing = None
