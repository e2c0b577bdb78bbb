"""Places under anything that requests, prefetch and the operator can do, in any order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from inference_svc.app import places
from inference_svc.app.places import Places
from inference_svc.domain.residency import Resident, ResidentState
from shared.names import RevisionName

PLACES, ADAPTERS = 3, 7
_LOAD = (ResidentState.VERIFYING, ResidentState.LOADING, ResidentState.PROVING, ResidentState.LIVE)
adapters = st.integers(0, ADAPTERS - 1)


class Machine(RuleBasedStateMachine):
    """Requests begin, wait, end and go away; loads take a while and may fail; pins come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.places = Places(PLACES, self._unload)
        self.residents = [self._resident(number) for number in range(ADAPTERS)]
        self.ends: dict[asyncio.Task[None], asyncio.Event] = {}
        """Requests that have not ended, and what ends each."""
        self.loading: dict[int, asyncio.Event] = {}
        self.held_up = False
        self._loads_ahead: list[asyncio.Task[None]] = []

    def _resident(self, number: int) -> Resident:
        def moved(before: ResidentState, seconds: float) -> None:
            found = self.residents[number]
            left = found.state in (ResidentState.DRAINING, ResidentState.UNLOADED) and before is ResidentState.LIVE
            assert not (left and found.is_pinned), "a pinned revision made room"
            self.places.ring()

        return Resident(RevisionName(f"t{number % 3}", f"a{number}", 1), "", moved)

    async def _unload(self, resident: Resident) -> None:
        assert not resident.leases
        resident.move(ResidentState.UNLOADED)
        await asyncio.sleep(0)

    async def _load(self, number: int, waiting: int) -> None:
        """What a load does, once it may; so many requests wait for it."""
        while self.held_up:
            await self.loading.setdefault(number, asyncio.Event()).wait()
        for state in _LOAD:
            await asyncio.sleep(0)
            self.residents[number].move(state)
        self.residents[number].expected += waiting

    async def _request(self, number: int, end: asyncio.Event) -> None:
        resident = self.residents[number]
        while not resident.is_open:
            if await self.places.take(resident):
                await self._start(self._load(number, 1))
                resident.expected -= 1
            else:
                await asyncio.sleep(0)  # somebody else loads it
        resident.leases += 1
        self.places.note_use(resident)
        try:
            await end.wait()
        finally:
            resident.leases -= 1
            self.places.ring()

    async def _beside(self, number: int) -> None:
        """A load that nobody waits for, in the place of what is not used."""
        if await self.places.take_unused(self.residents[number]):
            await self._start(self._load(number, 0))

    def _run(self, steps: int = 100) -> None:
        async def let_run() -> None:
            for _ in range(steps):
                await asyncio.sleep(0)

        self.loop.run_until_complete(let_run())

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        return self.loop.create_task(work)

    @rule(number=adapters)
    def begin(self, number: int) -> None:
        """A request for an adapter."""
        end = asyncio.Event()
        self.ends[self._start(self._request(number, end))] = end
        self._run()

    @precondition(lambda self: self.ends)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """A request is told to end, if it began already; else when it does."""
        data.draw(st.sampled_from(list(self.ends.values()))).set()
        self._run()

    @rule(number=adapters, spare=st.integers(0, 2))
    def load_ahead(self, number: int, spare: int) -> None:
        """Into free places only."""
        inside = sum(resident.is_inside for resident in self.residents)
        took = self.places.take_free(self.residents[number], spare=spare)
        assert not took or inside + spare < PLACES
        if took:
            self._loads_ahead.append(self._start(self._load(number, 0)))
        self._run()

    @rule(number=adapters)
    def load_beside(self, number: int) -> None:
        """Into a free place, or that of what is not used."""
        self._loads_ahead.append(self._start(self._beside(number)))
        self._run()

    @rule()
    def hold_loads_up(self) -> None:
        """They take long from now on."""
        self.held_up = True

    @rule()
    def let_loads_go_on(self) -> None:
        """Those that were held up end."""
        self.held_up = False
        for event in self.loading.values():
            event.set()
        self.loading.clear()
        self._run()

    @rule(number=adapters)
    def pin(self, number: int) -> None:
        """As long as one place is left; its pin may bring it in, which is somebody else's work."""
        if sum(resident.is_pinned for resident in self.residents) < PLACES - 1:
            self.residents[number].is_pinned = True

    @rule(number=adapters)
    def unpin(self, number: int) -> None:
        """It may make room from now on."""
        self.residents[number].is_pinned = False
        self.places.ring()
        self._run()

    @invariant()
    def places_are_never_exceeded(self) -> None:
        """Counting those that are on their way in."""
        assert sum(resident.is_inside for resident in self.residents) <= PLACES

    def teardown(self) -> None:
        """Everybody who waits is served in the end, once those before are done; nothing stays closed."""
        self.let_loads_go_on()
        for end in self.ends.values():
            end.set()
        self._run(5_000)
        states = [repr(resident) for resident in self.residents]
        left = [task for task in self.ends if not task.done()]
        for task in left:
            task.cancel()
        self._run()
        self.loop.close()
        assert not left, states
        assert all(task.exception() is None for task in (*self.ends, *self._loads_ahead))
        assert not any(resident.is_closing or resident.leases for resident in self.residents)


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is never idle is closed at once, so that no time has to pass."""
    monkeypatch.setattr(places, "_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(places, "_UNUSED_SECONDS", 0.0)


class TestPlacesMachine(Machine.TestCase):  # type: ignore[misc, name-defined]  # made at run time
    """No more inside than there are places, pinned ones never leave, and whoever waits is served."""

    settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
