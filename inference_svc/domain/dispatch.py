"""Who gets the engine's next free place: fair order, limits of the tenants, and few adapters at a time."""

from __future__ import annotations

from collections import Counter

from inference_svc.domain.adapter_room import AdapterRoom
from inference_svc.domain.fair_queue import FairQueue, Ticket


class Dispatcher:
    """The engine's places and the requests that wait for one. Knows no clock, no loop and no caller.

    Whoever changes it calls `start_next` until that returns None: then no place is free that a waiting request could
    use (work-conserving), and none is used twice.
    """

    def __init__(self, places: int, room: AdapterRoom) -> None:
        self._places, self._room = places, room
        self._queue = FairQueue()
        self._running: dict[int, Ticket] = {}
        self._by_tenant: Counter[str] = Counter()
        self._limits: dict[str, float] = {}

    @property
    def running_count(self) -> int:
        """Requests in the engine."""
        return len(self._running)

    @property
    def waiting_count(self) -> int:
        """Requests that wait."""
        return len(self._queue)

    def running_of(self, tenant: str) -> int:
        """Requests of one tenant in the engine."""
        return self._by_tenant[tenant]

    def waiting_of(self, tenant: str) -> int:
        """Requests of one tenant that wait."""
        return self._queue.waiting(tenant)

    def is_running(self, ticket: Ticket) -> bool:
        """Whether the engine has it."""
        return ticket.arrival in self._running

    def is_waiting(self, ticket: Ticket) -> bool:
        """Whether it waits."""
        return ticket in self._queue

    def push(self, ticket: Ticket, running_limit: float) -> None:
        """Puts a request in; from now on its tenant has at most `running_limit` requests in the engine."""
        self._limits[ticket.tenant] = running_limit
        self._queue.push(ticket)
        self._hold_or_release(ticket.tenant)

    def start_next(self) -> Ticket | None:
        """The request that runs from now on; None when none can."""
        if len(self._running) >= self._places:
            return None
        ticket = self._choose()
        if ticket is not None:
            self._queue.take(ticket)
            self._room.enter(ticket)
            self._running[ticket.arrival] = ticket
            self._by_tenant[ticket.tenant] += 1
            self._hold_or_release(ticket.tenant)
        return ticket

    def finish(self, ticket: Ticket, tokens: int) -> None:
        """The engine is done with a running request, which has cost `tokens`."""
        del self._running[ticket.arrival]
        self._by_tenant[ticket.tenant] -= 1
        self._room.leave(ticket)
        self._queue.settle(ticket, tokens)
        self._hold_or_release(ticket.tenant)
        self._forget(ticket.tenant)

    def remove(self, ticket: Ticket) -> None:
        """A waiting request goes away."""
        self._queue.remove(ticket)
        self._room.forget(ticket)
        self._forget(ticket.tenant)

    def longest(self) -> Ticket:
        """Whom a full queue refuses; see `FairQueue.longest`."""
        return self._queue.longest()

    def _choose(self) -> Ticket | None:
        due = self._room.due
        if due is not None and self._room.fits(due):
            return due
        front: Ticket | None = None
        for ticket in self._queue.order():
            if self._room.fits(ticket):
                if front is not None:
                    self._room.overtake(front)
                return ticket
            front = front or ticket
        return None

    def _hold_or_release(self, tenant: str) -> None:
        if self._by_tenant[tenant] >= self._limits[tenant]:
            self._queue.hold(tenant)
            if self._room.due is not None and self._room.due.tenant == tenant:
                self._room.forget(self._room.due)
        else:
            self._queue.release(tenant)

    def _forget(self, tenant: str) -> None:
        """Drops the limit of a tenant that is gone."""
        if not self._by_tenant[tenant] and not self._queue.waiting(tenant):
            del self._by_tenant[tenant], self._limits[tenant]
            self._queue.release(tenant)
