"""Lets requests into the engine in fair order, within the quotas of their tenants; refuses at once what cannot wait."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from inference_svc.app.quota_book import OneQuota, QuotaSource
from inference_svc.domain.adapter_room import AdapterRoom
from inference_svc.domain.dispatch import Dispatcher
from inference_svc.domain.fair_queue import Ticket
from inference_svc.domain.lane import Lane
from inference_svc.domain.quota import Account, Quota, quota_exceeded
from shared.clock import Clock, SystemClock
from shared.errors import DomainError, Exhausted, Unavailable

_RETRY_SECONDS = 1.0
"""Told while nothing is known: before the first answer, and by a replica that drains."""
_MIN_RETRY_SECONDS, _MAX_RETRY_SECONDS = 0.05, 60.0
_MEAN_WEIGHT = 0.1
"""Of the latest request in the mean time in the engine: the mean of about the last twenty."""
_SWEEP_ACCOUNTS = 1024


@dataclass(frozen=True)
class Demand:
    """What a request asks of the engine. `tokens` is what it is expected to cost: uncached prompt plus output."""

    tenant: str
    lane: Lane
    adapter: str | None
    tokens: int


@dataclass
class Place:
    """A place in the engine. `spent_tokens` is what is known of the request's cost, set by whoever holds the place."""

    spent_tokens: int = 0


@dataclass(frozen=True)
class Load:
    """How many requests run and wait."""

    running: int
    waiting: int


class Admission:
    """Guards the engine's places. Not for use across event loops.

    Requests run in the order of `FairQueue`, as far as their tenants' quotas let them; `queued` may wait in all. A full
    queue refuses the newest request of the tenant that has most in it.
    """

    def __init__(
        self, *, running: int, queued: int, quotas: QuotaSource | None = None, room: AdapterRoom | None = None,
        clock: Clock | None = None,
    ) -> None:  # fmt: skip
        self._places, self._limit = running, queued
        self._dispatcher = Dispatcher(running, room or AdapterRoom(None))
        self._quotas = quotas or OneQuota(Quota())
        self._clock = clock or SystemClock()
        self._accounts: dict[str, Account] = {}
        self._sweep_at = _SWEEP_ACCOUNTS
        self._answers: dict[Ticket, asyncio.Future[DomainError | None]] = {}
        self._mean_seconds: float | None = None
        self._closed = False

    @property
    def quotas(self) -> QuotaSource:
        """Where the limits and pins of tenants stand."""
        return self._quotas

    @property
    def load(self) -> Load:
        """Requests that run and wait now."""
        return Load(self._dispatcher.running_count, self._dispatcher.waiting_count)

    def close(self, *, serve_waiting_seconds: float = math.inf) -> None:
        """Refuses everything from now on. Requests that run are served; those that wait, if they start in time."""
        self._closed = True
        if math.isfinite(serve_waiting_seconds):
            asyncio.get_running_loop().call_later(serve_waiting_seconds, self._refuse_waiting)

    def knock(self, tenant: str) -> None:
        """Counts a request against its tenant's rate, before any work is done for it.

        Raises:
            Unavailable: NOT_SERVING while the process drains.
            Exhausted: QUOTA_EXCEEDED naming requests_per_second, with the time after which a request gets through.
        """
        if self._closed:
            raise _draining()
        self._account(tenant).take_request(self._now())

    @asynccontextmanager
    async def place(self, demand: Demand) -> AsyncIterator[Place]:
        """Holds one place in the engine, for which it may have to wait.

        At its end the tenant is charged `Place.spent_tokens`; if it is left by an error, what was expected at least,
        since the engine may have generated tokens that nobody saw. Who leaves before the engine began pays nothing, nor
        does anybody whose engine died.

        Raises:
            Unavailable: NOT_SERVING while the process drains.
            Exhausted: QUOTA_EXCEEDED naming tokens_per_minute or waiting_requests; QUEUE_FULL, possibly after waiting.
                Both say when to retry.
        """
        ticket, answer = self._enter(demand)
        try:
            refusal = await answer
        except BaseException:  # the caller went away, or its time is up: possibly just after it got its place
            self._leave(ticket)
            raise
        if refusal is not None:
            raise refusal
        place, begin = Place(), self._now()
        try:
            yield place
        except Unavailable:  # the engine is away: nobody's fault, and no measure of how long requests take
            begin, place.spent_tokens = math.inf, 0
            raise
        except BaseException:
            place.spent_tokens = max(place.spent_tokens, demand.tokens)
            raise
        finally:
            if math.isfinite(begin):
                self._note_seconds(self._now() - begin)
            self._finish(ticket, place.spent_tokens)

    def _enter(self, demand: Demand) -> tuple[Ticket, asyncio.Future[DomainError | None]]:
        if self._closed:
            raise _draining()
        account = self._account(demand.tenant)
        quota = account.quota
        account.take_tokens(demand.tokens, self._now())
        ticket = Ticket(demand.tenant, demand.lane, demand.adapter, demand.tokens, quota.weight)
        answer: asyncio.Future[DomainError | None] = asyncio.get_running_loop().create_future()
        self._dispatcher.push(ticket, quota.running_requests)
        self._answers[ticket] = answer
        self._start()
        if self._dispatcher.is_waiting(ticket):
            waiting = self._dispatcher.waiting_of(demand.tenant)
            if waiting > quota.waiting_requests:
                running = self._dispatcher.running_of(demand.tenant)
                wait = self._wait_seconds(waiting - 1, running)
                self._refuse(ticket, quota_exceeded("waiting_requests", quota.waiting_requests, wait))
            elif self._dispatcher.waiting_count > self._limit:
                self._refuse(self._dispatcher.longest(), self._queue_full())
            self._start()  # the one refused may have been due, and others waited for it
        return ticket, answer

    def _start(self) -> None:
        """Gives away every place that is free."""
        while (ticket := self._dispatcher.start_next()) is not None:
            _tell(self._answers.pop(ticket), None)

    def _leave(self, ticket: Ticket) -> None:
        """A caller goes away before it used its place."""
        if self._dispatcher.is_waiting(ticket):
            self._withdraw(ticket)
            self._start()  # as above
        elif self._dispatcher.is_running(ticket):
            self._finish(ticket, 0)

    def _finish(self, ticket: Ticket, tokens: int) -> None:
        self._dispatcher.finish(ticket, tokens)
        self._accounts[ticket.tenant].settle(ticket.tokens, tokens)
        self._start()

    def _refuse(self, ticket: Ticket, error: DomainError) -> None:
        """Sends a waiting request away."""
        _tell(self._withdraw(ticket), error)

    def _withdraw(self, ticket: Ticket) -> asyncio.Future[DomainError | None]:
        self._dispatcher.remove(ticket)
        self._accounts[ticket.tenant].settle(ticket.tokens, 0)
        return self._answers.pop(ticket)

    def _refuse_waiting(self) -> None:
        for ticket in list(self._answers):
            self._refuse(ticket, _draining())

    def _queue_full(self) -> Exhausted:
        limit = self._limit
        return Exhausted(
            "QUEUE_FULL",
            f"{limit} requests wait already",
            hint="try again later, or ask another replica",
            metadata={"waiting": str(limit)},
            retry_after_seconds=self._wait_seconds(limit, self._places),
        )

    def _wait_seconds(self, waiting: int, places: int) -> float:
        """Time in which `waiting` requests will have begun in so many places, at the pace of the latest ones.

        After that there is room, unless newer requests took it: Little's law, with the mean time in the engine.
        """
        if self._mean_seconds is None:
            return _RETRY_SECONDS
        seconds = waiting * self._mean_seconds / max(1, places)
        return min(max(seconds, _MIN_RETRY_SECONDS), _MAX_RETRY_SECONDS)

    def _note_seconds(self, seconds: float) -> None:
        mean = seconds if self._mean_seconds is None else self._mean_seconds
        self._mean_seconds = mean + _MEAN_WEIGHT * (max(0.0, seconds) - mean)

    def _account(self, tenant: str) -> Account:
        quota, now = self._quotas.of(tenant), self._now()
        account = self._accounts.get(tenant)
        if account is None:
            self._sweep(now)
            account = self._accounts[tenant] = Account(quota, now)
        account.change(quota, now)
        return account

    def _sweep(self, now: float) -> None:
        """Drops accounts that a new one would equal: memory follows the tenants that are here."""
        if len(self._accounts) >= self._sweep_at:
            self._accounts = {
                tenant: account
                for tenant, account in self._accounts.items()
                if self._dispatcher.running_of(tenant)
                or self._dispatcher.waiting_of(tenant)
                or not account.is_fresh(now)
            }
            self._sweep_at = max(_SWEEP_ACCOUNTS, 2 * len(self._accounts))

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _tell(answer: asyncio.Future[DomainError | None], refusal: DomainError | None) -> None:
    if not answer.done():  # a caller that is being cancelled reads no answer
        answer.set_result(refusal)


def _draining() -> Unavailable:
    return Unavailable("NOT_SERVING", "the replica drains", retry_after_seconds=_RETRY_SECONDS)
