"""Keeps an engine that may die: fails fast while it is down, starts it again, and gives up when that does not help."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager

from inference_svc.app.ports import EngineCall, EngineChunk, MortalEngine
from inference_svc.domain.residency import AdapterKey
from inference_svc.domain.suspicion import Suspicion, Work
from shared.changes import Changes
from shared.errors import StateConflict, Unavailable

_log = logging.getLogger(__name__)

MAX_DEATHS = 6
WINDOW_SECONDS = 600.0
"""So many deaths in so short a time are a crash loop: the process ends, for whoever started it to decide."""
_LEAST_RETRY_SECONDS = 1.0
_MAX_WAITING, _TURN_SECONDS = 32, 2.0
"""Suspects that wait for their turn: each holds a place that others could use. More are told to come back."""
_RETURN_SECONDS = 60.0
"""Until readiness is told although some adapters are not back: they are loaded at their next use."""
_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 1.0, 30.0


class Supervisor:
    """Implements `InferenceEngine` over one that may die. `run` must be running for it to come back."""

    def __init__(self, engine: MortalEngine, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._clock = engine, clock
        self._suspicion = Suspicion(clock)
        self._running: dict[object, Work] = {}
        self._fallen: list[Work] = []
        self._probation, self._waiting = asyncio.Lock(), 0
        self._lives = 0
        self._down_since: float | None = clock()
        self._start_seconds = _LEAST_RETRY_SECONDS
        self._changes = Changes()

    @property
    def lives(self) -> int:
        """How often the engine was started again."""
        return self._lives

    async def start(self) -> None:
        """Brings the engine up for the first time. Raises `Unavailable` when it cannot."""
        begin = self._clock()
        await self._engine.start()
        self._start_seconds = max(_LEAST_RETRY_SECONDS, self._clock() - begin)
        self._down_since = None
        self._changes.ring()

    def check(self) -> None:
        """Raises `Unavailable` (NOT_SERVING) with an estimate while the engine is down."""
        if self._down_since is None:
            return
        passed = self._clock() - self._down_since
        # Late already: half a start more, so that a client's few attempts reach well beyond the estimate.
        wait = self._start_seconds - passed if passed < self._start_seconds else self._start_seconds / 2
        raise Unavailable(
            "NOT_SERVING", "the engine is being restarted", retry_after_seconds=max(_LEAST_RETRY_SECONDS, wait)
        )

    async def add_adapter(self, key: AdapterKey) -> None:
        """Takes an adapter up. Raises `StateConflict` (ADAPTER_REJECTED) for one that is barred, too."""
        work = Work(key.name, "")
        self._admit(work)
        with self._noting(work):
            await self._engine.add_adapter(key)
        self._suspicion.loaded(key.name)

    async def remove_adapter(self, key: AdapterKey) -> None:
        """Forgets an adapter; an engine that is down has forgotten it already."""
        if self._down_since is None:
            await self._engine.remove_adapter(key)

    async def generate(self, call: EngineCall) -> AsyncGenerator[EngineChunk]:
        """Chunks of one answer.

        Raises:
            Unavailable: NOT_SERVING when the engine is down or dies.
            StateConflict: REQUEST_QUARANTINED or ADAPTER_REJECTED for what was in the engine at too many crashes.
        """
        work = _work(call)
        self._admit(work)
        async with self._turn(work):
            self._admit(work)  # it may have waited through another death
            with self._noting(work):
                async with aclosing(self._engine.generate(call)) as chunks:
                    async for chunk in chunks:
                        yield chunk
                self._suspicion.answered(work)

    @asynccontextmanager
    async def _turn(self, work: Work) -> AsyncIterator[None]:
        """At once, but for suspects: they run one at a time, until an answer to another clears them."""
        if self._suspicion.is_suspect(work):
            if self._waiting >= _MAX_WAITING:
                raise Unavailable("NOT_SERVING", "the engine recovers from a crash", retry_after_seconds=_TURN_SECONDS)
            self._waiting += 1
            try:
                await self._probation.acquire()
            finally:
                self._waiting -= 1
            try:
                if self._suspicion.is_suspect(work):
                    yield
                    return
            finally:
                self._probation.release()
        yield

    async def readiness(self) -> AsyncIterator[bool]:
        """Whether the engine is up: now, then each change, for ever."""
        told: bool | None = None
        while True:
            mark, up = self._changes.mark(), self._down_since is None
            if up == told:
                await mark.wait()
            else:
                told = up
                yield up

    async def run(self, lost: Callable[[], None], back: Callable[[], Awaitable[None]]) -> None:
        """Starts the engine again each time it dies; ends when it dies too often, and stays down.

        `lost` is called at once at each death, `back` after each start, before readiness is told.
        """
        deaths: deque[float] = deque(maxlen=MAX_DEATHS)
        while True:
            await self._engine.failed()
            self._fall()
            lost()
            if len(deaths) == MAX_DEATHS and self._clock() - deaths[0] < WINDOW_SECONDS:
                _log.critical("the engine dies again and again, giving up", extra={"deaths": MAX_DEATHS + 1})
                return
            deaths.append(self._clock())
            pause = _FIRST_PAUSE_SECONDS
            while not await self._restart():
                await asyncio.sleep(pause)
                pause = min(_MAX_PAUSE_SECONDS, 2 * pause)
            await self._bring_back(back)
            self._changes.ring()

    async def _bring_back(self, back: Callable[[], Awaitable[None]]) -> None:
        """Waits for what is to be in place before readiness is told, but neither beyond another death nor for ever."""
        returning, death = asyncio.ensure_future(back()), asyncio.ensure_future(self._engine.failed())
        try:
            await asyncio.wait({returning, death}, timeout=_RETURN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if returning.done():
                returning.result()
        finally:
            returning.cancel()
            death.cancel()

    def condemn(self, call: EngineCall) -> None:
        """Starts an engine again that runs, but computes nonsense, as if it had died of this request alone.

        So who brings it down with one request time and again is barred, and an engine that never gets well ends the
        process as one that always dies does. The request's adapter is not blamed: the engine is ill without it.
        """
        if self._down_since is not None:
            return
        _log.critical("the engine computes what is no number", extra={"fingerprint": _fingerprint(call)})
        self._down_since = self._clock()
        self._running.clear()
        self._fallen[:] = [Work("", _fingerprint(call))]
        self._engine.condemn()

    async def stop(self) -> None:
        """Ends the engine and its processes."""
        await self._engine.stop()

    def _fall(self) -> None:
        """Notes a death, and who was there."""
        self._down_since = self._clock()
        there = [*self._fallen, *self._running.values()]
        self._fallen.clear()
        self._running.clear()
        self._suspicion.crashed(there)
        self._changes.ring()
        _log.error(
            "the engine died",
            extra={"requests": len(there), "adapters": sorted({work.adapter for work in there if work.adapter})[:20]},
        )

    async def _restart(self) -> bool:
        """Whether the engine runs again."""
        await self._engine.stop()
        try:
            await self._engine.start()
        except Unavailable:
            _log.exception("the engine does not start")
            return False
        assert self._down_since is not None
        _log.warning("the engine is back", extra={"seconds": round(self._clock() - self._down_since, 1)})
        self._fallen.clear()
        self._lives += 1
        self._down_since = None
        return True

    def _admit(self, work: Work) -> None:
        self.check()
        barred = self._suspicion.barred(work)
        if barred is None:
            return
        seconds = self._suspicion.barred_seconds(work)
        for_now = f"for {seconds / 60:.0f} minutes: it was in the engine at too many crashes"
        if barred == "adapter":
            raise StateConflict(
                "ADAPTER_REJECTED",
                f"the adapter is quarantined {for_now}",
                hint="train a new revision",
                retry_after_seconds=seconds,
            )
        raise StateConflict(
            "REQUEST_QUARANTINED",
            f"the request is quarantined {for_now}",
            hint="change the input, and report this request",
            metadata={"fingerprint": work.request},
            retry_after_seconds=seconds,
        )

    @contextmanager
    def _noting(self, work: Work) -> Iterator[None]:
        """Keeps `work` among what runs. One that fails with the engine is remembered until the death is noted."""
        token, life = object(), self._lives
        self._running[token] = work
        try:
            yield
        except Unavailable as err:
            if life == self._lives:  # the engine has not come back meanwhile
                self._fallen.append(work)
                if self._down_since is None:
                    self._down_since = self._clock()
                self.check()
            raise Unavailable("NOT_SERVING", "the engine died", retry_after_seconds=_LEAST_RETRY_SECONDS) from err
        finally:
            self._running.pop(token, None)


def _work(call: EngineCall) -> Work:
    return Work(call.adapter.name if call.adapter else "", _fingerprint(call))


def _fingerprint(call: EngineCall) -> str:
    sampling = call.sampling
    parts = (
        call.adapter.name if call.adapter else "", call.contract_digest, list(call.prompt_ids), call.max_tokens,
        sampling.temperature, sampling.top_p, sampling.seed,
    )  # fmt: skip
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
