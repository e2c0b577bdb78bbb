"""Requests that ask to be let into the engine, for tests of admission."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from inference_svc.app.admission import Admission, Demand, Load
from inference_svc.domain.lane import Lane
from inference_svc.domain.quota import Quota
from shared.errors import DomainError
from shared.names import AliasName

IDLE = Load(0, 0)


def demand(tenant: str = "a", tokens: int = 100, lane: Lane = Lane.INTERACTIVE, adapter: str | None = None) -> Demand:
    """What a request asks for."""
    return Demand(tenant, lane, adapter, tokens)


class Caller:
    """A request in a task of its own, which holds its place until it is told to end."""

    def __init__(self, admission: Admission, wanted: Demand, spent: int | None = None) -> None:
        self.begun, self.end = asyncio.Event(), asyncio.Event()
        self.spent = wanted.tokens if spent is None else spent
        self.task = asyncio.create_task(self._run(admission, wanted))

    async def _run(self, admission: Admission, wanted: Demand) -> None:
        async with admission.place(wanted) as place:
            self.begun.set()
            await self.end.wait()
            place.spent_tokens = self.spent

    async def finish(self) -> None:
        """Ends, and waits until it has."""
        self.end.set()
        await self.task


class QuotaByTenant:
    """Its own quota for each tenant that is named, none for others."""

    def __init__(self, quotas: dict[str, Quota]) -> None:
        self._quotas = quotas

    def of(self, tenant: str) -> Quota:
        """That quota."""
        return self._quotas.get(tenant, Quota())

    def pins(self) -> frozenset[AliasName]:
        """None."""
        return frozenset()


async def settle() -> None:
    """Lets every task run until it waits for something."""
    for _ in range(5):
        await asyncio.sleep(0)


@asynccontextmanager
async def callers(admission: Admission, *wanted: Demand) -> AsyncIterator[list[Caller]]:
    """Requests in this order; none is left at the end."""
    made = [Caller(admission, each) for each in wanted]
    await settle()
    try:
        yield made
    finally:
        for each in made:
            each.task.cancel()
        await asyncio.gather(*(each.task for each in made), return_exceptions=True)


def error(caller: Caller) -> DomainError:
    """What it was refused with."""
    assert caller.task.done()
    found = caller.task.exception()
    assert isinstance(found, DomainError)
    return found


def begun(made: list[Caller]) -> list[int]:
    """Numbers of those that hold or held a place."""
    return [number for number, each in enumerate(made) if each.begun.is_set()]
