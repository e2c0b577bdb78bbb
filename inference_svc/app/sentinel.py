"""Finds out who is to blame when the engine computes what is no number: an adapter, or the engine itself.

The same prompt is put to the base model, computed anew. When that gives numbers, the adapter is guilty: nobody is
answered with it any more. When it does not, the engine is ill (its weights are damaged, say, and every adapter on it
would look guilty): it is started again, and no adapter is blamed.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from inference_svc.app.ports import EngineCall, EngineChunk, InferenceEngine, NonFinite
from inference_svc.domain.residency import AdapterKey, quarantined
from shared.errors import DomainError, StateConflict, Unavailable

_log = logging.getLogger(__name__)

_TRIAL_SECONDS = 30.0
_RETRY_SECONDS = 1.0

FoundOut = Callable[[AdapterKey, StateConflict], Awaitable[None]]
"""Who acts on a verdict: told once of each guilty content, by the adapter it was found out in."""


class Restartable(InferenceEngine, Protocol):
    """An engine that can be started again."""

    @property
    def lives(self) -> int:
        """How often it was."""

    def condemn(self, call: EngineCall) -> None:
        """Starts it again, as if it had died of `call`."""


class Sentinel:
    """Implements `InferenceEngine`, without its `NonFinite`: who asked is told what came of it."""

    def __init__(self, engine: Restartable) -> None:
        self._engine = engine
        self._trials: dict[AdapterKey, asyncio.Task[DomainError]] = {}
        self._guilty: dict[str, str] = {}
        """Content (`AdapterKey.path`) to the adapter it was found out in; it answers nobody, whatever its name."""
        self._found_out: FoundOut = _tell_nobody

    def tell(self, found_out: FoundOut) -> None:
        """Calls `found_out` at each verdict from now on, whether or not a caller waits for it."""
        self._found_out = found_out

    def check(self) -> None:
        """Raises `Unavailable` (NOT_SERVING) while the engine cannot be asked."""
        self._engine.check()

    async def add_adapter(self, key: AdapterKey) -> None:
        """Takes an adapter up. Raises `StateConflict` (ADAPTER_QUARANTINED) for a guilty one, too."""
        self._refuse_guilty(key)
        await self._engine.add_adapter(key)

    async def remove_adapter(self, key: AdapterKey) -> None:
        """Forgets an adapter."""
        await self._engine.remove_adapter(key)

    async def generate(self, call: EngineCall) -> AsyncGenerator[EngineChunk]:
        """Chunks of one answer.

        Raises:
            Unavailable: NOT_SERVING when the engine is down or dies, or is started again since it is ill.
            StateConflict: ADAPTER_QUARANTINED when the adapter computed NaN or infinity, for this request or another.
        """
        if call.adapter is not None:
            self._refuse_guilty(call.adapter)
        try:
            async with aclosing(self._engine.generate(call)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except NonFinite as err:
            if call.adapter is None:
                raise self._ill(call) from err
            raise await self._verdict(call, call.adapter) from err

    def _refuse_guilty(self, key: AdapterKey) -> None:
        if key.path in self._guilty:
            raise self._guilt(key)

    async def _verdict(self, call: EngineCall, key: AdapterKey) -> DomainError:
        """What all who asked the same adapter are told; the trial goes on when none of them waits any more."""
        if key.path in self._guilty:
            return self._guilt(key)
        trial = self._trials.get(key)
        if trial is None:
            trial = self._trials[key] = asyncio.create_task(self._try(call, key))
            trial.add_done_callback(lambda _: self._trials.pop(key, None))
        found = await asyncio.shield(trial)
        return replace(found)  # each its own: an exception keeps the place where it was raised

    async def _try(self, call: EngineCall, key: AdapterKey) -> DomainError:
        life = self._engine.lives
        unknown = uuid.uuid4().hex  # as tenant: nothing of the prompt is in the prefix cache, all of it is computed
        probe = replace(call, request_id=f"trial-{unknown}", adapter=None, tenant=unknown, stream=True)
        try:
            async with asyncio.timeout(_TRIAL_SECONDS), aclosing(self._engine.generate(probe)) as chunks:
                await anext(chunks)
        except NonFinite:
            return self._ill(call)
        except (TimeoutError, DomainError) as err:  # busy, or it died meanwhile: nothing is proved
            return _no_verdict(key, type(err).__name__)
        if self._engine.lives != life:  # the probe waited for its turn: another engine computed it, which may be well
            return _no_verdict(key, "restarted")
        self._guilty.setdefault(key.path, key.name)
        await self._found_out(key, self._guilt(key))
        return self._guilt(key)

    def _ill(self, call: EngineCall) -> DomainError:
        self._engine.condemn(call)
        return Unavailable("NOT_SERVING", "the engine is ill, and started again", retry_after_seconds=_RETRY_SECONDS)

    def _guilt(self, key: AdapterKey) -> StateConflict:
        return quarantined(f"{self._guilty[key.path]} computed NaN or infinity")


def _no_verdict(key: AdapterKey, why: str) -> DomainError:
    _log.warning("no verdict about an adapter", extra={"adapter": key.name, "error": why})
    return Unavailable("NOT_SERVING", "the engine computed no number", retry_after_seconds=_RETRY_SECONDS)


async def _tell_nobody(key: AdapterKey, error: StateConflict) -> None:
    """Callers alone are told."""
