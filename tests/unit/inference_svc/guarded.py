"""A replica whose engine's numbers are judged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from inference_svc.app.fleet import Fleet
from inference_svc.app.ports import EngineCall, InferenceEngine
from inference_svc.app.sentinel import Sentinel
from inference_svc.domain.generation import Question, Sampling
from shared.errors import StateConflict, Unavailable
from shared.names import RevisionName
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, CONTRACT, revision
from tests.unit.inference_svc.supervised import Supervised, when


class Guarded(Supervised):
    """A replica as in the composition root: what the engine computes is judged, and an ill engine started again."""

    def serving_engine(self) -> InferenceEngine:
        """The sentinel, over a supervisor."""
        self.sentinel = Sentinel(super().serving_engine())  # type: ignore[arg-type]  # a Supervisor
        return self.sentinel

    def new_fleet(self) -> Fleet:
        """One that is told of every verdict."""
        fleet = super().new_fleet()
        self.sentinel.tell(fleet.expulsion.of_content)
        return fleet

    @asynccontextmanager
    async def serving(self, number: int) -> AsyncIterator[None]:
        """Alive, with a revision under the alias `live`."""
        async with self.alive():
            self.publish(number)
            self.fleet.point(ALIAS, revision(number))
            await self.settle()
            yield

    def publish_again(self, number: int, again: int) -> RevisionName:
        """The content of one revision as another."""
        name = revision(again)
        self.registry.packages[name] = self.registry.packages[revision(number)]
        self.registry.digests[name] = self.registry.digests[revision(number)]
        return name

    async def once(self, text: str = "hello", adapter: str = ADAPTER) -> str:
        """The answer to one request, or the reason why there is none."""
        contract = "" if adapter else CONTRACT
        try:
            answer = await self.answering.answer(Question(adapter, text, "", contract, None, Sampling(), 30.0))
        except (StateConflict, Unavailable) as err:
            return err.reason
        return answer.text

    def poison(self, number: int) -> None:
        """Lets a revision compute NaN."""
        self.engine.poisonous = lambda call: call.adapter is not None and f"/{number}@" in call.adapter.name

    async def dies_of(self, text: str) -> EngineCall:
        """The engine dies of one question to the base model, which is a suspect from then on, and comes back."""
        starts, self.engine.deadly = self.engine.starts, lambda call: True
        assert await self.once(text, adapter="") == "NOT_SERVING"
        self.engine.deadly = lambda call: False
        await self.until(starts + 1)
        return self.engine.calls[-1]

    @asynccontextmanager
    async def on_trial(self) -> AsyncIterator[asyncio.Task[str]]:
        """One request has shown NaN of revision 1; the answer of the base model, which decides, comes at the end."""
        self.engine.poisonous = self._poisons_and_holds
        asked = asyncio.create_task(self.once())
        await when(lambda: bool(self.engine.calls) and self.engine.calls[-1].adapter is None)
        try:
            yield asked
        finally:
            self.engine.gate.set()
            await asyncio.gather(asked, return_exceptions=True)
            await when(lambda: not self.sentinel._trials)

    def _poisons_and_holds(self, call: EngineCall) -> bool:
        if call.adapter is not None:
            self.engine.gate.clear()
        return call.adapter is not None
