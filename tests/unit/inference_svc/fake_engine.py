"""An engine in memory that walks real automata."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import numpy as np

from inference_svc.app.ports import EngineCall, EngineChunk, NonFinite
from inference_svc.domain.residency import AdapterKey
from shared.errors import StateConflict, Unavailable


class FakeEngine:
    """Answers by `script`, then greedily by the automaton's first allowed token.

    `gate` holds answers back until it is set, `rest` what comes after their first token; `calls` are all requests so
    far; it dies of what `deadly` says, and computes no numbers for what `poisonous` says.
    """

    def __init__(self, contract_dir: Path) -> None:
        self._contract_dir = contract_dir
        self.adapters: set[AdapterKey] = set()
        self.refused: set[str] = set()
        self.refused_seconds: float | None = None
        self.closed_early = 0
        self.gate, self.rest = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.rest.set()
        self.dead, self.startable = asyncio.Event(), asyncio.Event()
        self.startable.set()
        self.starts = self.failing_starts = 0
        self.deadly: Callable[[EngineCall], bool] = lambda call: False
        self.poisonous: Callable[[EngineCall], bool] = lambda call: False
        self.entered = asyncio.Event()
        self.lie: list[int] | None = None
        self.broken: set[str] = set()
        """Names, without digest, of adapters whose answers leave their contract."""
        self.script: list[list[int]] = []
        self.calls: list[EngineCall] = []
        self.cached_tokens = 0
        """Of each prompt, in the prefix cache."""

    async def start(self) -> None:
        """A new life, without adapters, once `startable` is set; fails as often as `failing_starts` says."""
        self.starts += 1
        await self.startable.wait()
        if self.failing_starts:
            self.failing_starts -= 1
            raise Unavailable("NOT_SERVING", "the engine does not start")
        self.adapters.clear()
        self.dead.clear()

    def condemn(self) -> None:
        """As if it had died."""
        self.die()

    def die(self) -> None:
        """As a crash would: whatever runs or comes now fails."""
        self.dead.set()
        self.gate.set()
        self.rest.set()

    def check(self) -> None:
        """Raises when dead."""
        if self.dead.is_set():
            raise Unavailable("NOT_SERVING", "the engine died")

    async def add_adapter(self, key: AdapterKey) -> None:
        """Refuses what `refused` names; for ever, or for `refused_seconds`."""
        await asyncio.sleep(0)
        self.check()
        if key.name.split("@")[0] in self.refused:
            raise StateConflict("ADAPTER_REJECTED", "refused by the engine", retry_after_seconds=self.refused_seconds)
        self.adapters.add(key)

    async def remove_adapter(self, key: AdapterKey) -> None:
        """Forgets it."""
        self.adapters.discard(key)

    async def generate(self, call: EngineCall) -> AsyncGenerator[EngineChunk]:
        """One token a chunk when streaming, otherwise the first and then the rest."""
        from shared.contracts.store import read_contract

        self.check()
        assert call.adapter is None or call.adapter in self.adapters, "an adapter that is not in the engine"
        self.calls.append(call)
        guide = read_contract(self._contract_dir / call.contract_digest.removeprefix("sha256:")).guide()
        tokens: list[int] = []
        while not guide.is_finished():
            mask = guide.mask(call.max_tokens - len(tokens))
            tokens.append(int(np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little"))[0]))
            assert guide.advance(tokens[-1])
        finished, life = False, self.starts
        self.entered.set()
        if self.deadly(call):
            self.die()
        try:
            await self._pass(self.gate, life)
            if self.poisonous(call):
                raise NonFinite(call.request_id)
            sent = self.lie or (self.script.pop(0) if self.script else tokens)
            if call.adapter is not None and call.adapter.name.split("@")[0] in self.broken:
                sent = [0]
            yield EngineChunk(sent[:1], self.cached_tokens, finished=False)
            await self._pass(self.rest, life)
            for chunk in ([t] for t in sent[1:]) if call.stream else filter(None, (sent[1:],)):
                yield EngineChunk(chunk, self.cached_tokens, finished=False)
            finished = True
        finally:
            self.closed_early += not finished

    async def _pass(self, gate: asyncio.Event, life: int) -> None:
        await gate.wait()
        if self.starts != life:
            raise Unavailable("NOT_SERVING", "the engine died")
        self.check()

    async def failed(self) -> None:
        """When it died."""
        await self.dead.wait()

    async def stop(self) -> None:
        """Nothing to do."""
