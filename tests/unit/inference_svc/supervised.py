"""A replica whose engine is started again when it dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from inference_svc.app.ports import InferenceEngine
from inference_svc.app.supervisor import Supervisor
from inference_svc.domain.generation import Answer, Question, Sampling
from shared.errors import Unavailable
from tests.unit.inference_svc.conftest import ADAPTER, CONTRACT, Replica


@dataclass
class Supervised(Replica):
    """A replica whose engine is started again when it dies, as in the composition root."""

    now: float = 0.0
    ready: list[bool] = field(default_factory=list)

    def serving_engine(self) -> InferenceEngine:
        """The supervisor."""
        self.supervisor = Supervisor(self.engine, clock=lambda: self.now)
        return self.supervisor

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[asyncio.Task[None]]:
        """The engine up, with its supervision; `ready` holds what is told of its readiness."""

        async def listen() -> None:
            async for up in self.supervisor.readiness():
                self.ready.append(up)

        await self.supervisor.start()
        tasks = [
            asyncio.create_task(self.supervisor.run(self.fleet.engine_lost, self.fleet.engine_back)),
            asyncio.create_task(listen()),
        ]
        await asyncio.sleep(0)
        try:
            yield tasks[0]
        finally:
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                assert outcome is None or isinstance(outcome, asyncio.CancelledError), outcome

    async def ask(self, text: str = "hello", adapter: str = ADAPTER) -> Answer:
        """One request, tried again as clients do: while it fails with UNAVAILABLE."""
        contract = "" if adapter else CONTRACT
        while True:
            try:
                return await self.answering.answer(Question(adapter, text, "", contract, None, Sampling(), 30.0))
            except Unavailable:
                await asyncio.sleep(0.001)

    async def until(self, count: int) -> None:
        """Waits for so many starts of the engine, with readiness told."""
        await when(lambda: self.engine.starts >= count and self.ready[-1:] == [True])


async def when(condition: Callable[[], bool]) -> None:
    """Lets everybody else go on until it holds."""
    while not condition():  # noqa: ASYNC110  # what is waited for happens in many places
        await asyncio.sleep(0)
