"""A replica whose engine's numbers are judged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from inference_svc.app.ports import EngineCall, InferenceEngine
from inference_svc.app.sentinel import Sentinel
from inference_svc.domain.generation import Question, Sampling
from shared.errors import StateConflict, Unavailable
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, CONTRACT, revision
from tests.unit.inference_svc.test_supervisor import Supervised


class Guarded(Supervised):
    """A replica as in the composition root: what the engine computes is judged, and an ill engine started again."""

    def serving_engine(self) -> InferenceEngine:
        """The sentinel, over a supervisor."""
        return Sentinel(super().serving_engine())  # type: ignore[arg-type]  # a Supervisor

    @asynccontextmanager
    async def serving(self, number: int) -> AsyncIterator[None]:
        """Alive, with a revision under the alias `live`."""
        async with self.alive():
            self.publish(number)
            self.fleet.point(ALIAS, revision(number))
            await self.settle()
            yield

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
