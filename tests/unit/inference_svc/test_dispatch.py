"""Who gets the engine's next free place."""

from __future__ import annotations

import math
from collections import Counter, deque

from hypothesis import given
from hypothesis import strategies as st

from inference_svc.domain.adapter_room import AdapterRoom
from inference_svc.domain.dispatch import Dispatcher
from inference_svc.domain.fair_queue import Ticket
from inference_svc.domain.lane import Lane

TENANTS = "abc"
ADAPTERS = [None, "x", "y", "z", "w"]
LIMITS = {"a": 1.0, "b": 2.0, "c": math.inf}


def ticket(tenant: str = "a", adapter: str | None = None, lane: Lane = Lane.INTERACTIVE) -> Ticket:
    """A request of a hundred tokens."""
    return Ticket(tenant, lane, adapter, 100)


def push(dispatcher: Dispatcher, *tickets: Ticket, limit: float = math.inf) -> None:
    """Puts requests in; starts nothing."""
    for each in tickets:
        dispatcher.push(each, limit)


def fill(dispatcher: Dispatcher) -> list[Ticket]:
    """Starts all that can."""
    return list(iter(dispatcher.start_next, None))


def adapters_in(running: list[Ticket]) -> set[str]:
    """Different adapters that run."""
    return {each.adapter for each in running if each.adapter is not None}


class TestPlaces:
    """The engine's places."""

    @given(st.data())
    def test_are_never_idle_while_somebody_could_use_one(self, data: st.DataObject) -> None:
        """Work-conserving; bounds of engine, tenants and adapters hold; numbers are exact, whoever leaves when."""
        places, room = data.draw(st.integers(1, 5)), data.draw(st.sampled_from([None, 1, 2, 3]))
        dispatcher = Dispatcher(places, AdapterRoom(room, data.draw(st.integers(0, 3))))
        waiting: list[Ticket] = []
        running: list[Ticket] = []
        for _ in range(data.draw(st.integers(0, 40))):
            moves = ["push", "push"] + ["remove"] * bool(waiting) + ["finish"] * bool(running)
            match data.draw(st.sampled_from(moves)):
                case "push":
                    new = ticket(*(data.draw(st.sampled_from(each)) for each in (TENANTS, ADAPTERS, list(Lane))))
                    waiting.append(new)
                    dispatcher.push(new, LIMITS[new.tenant])
                case "remove":
                    dispatcher.remove(waiting.pop(data.draw(st.integers(0, len(waiting) - 1))))
                case "finish":
                    done = running.pop(data.draw(st.integers(0, len(running) - 1)))
                    dispatcher.finish(done, data.draw(st.integers(0, 300)))
            for started in fill(dispatcher):
                waiting.remove(started)
                running.append(started)

            assert (dispatcher.running_count, dispatcher.waiting_count) == (len(running), len(waiting))
            assert len(running) <= places
            by_tenant = Counter(each.tenant for each in running)
            assert all(by_tenant[tenant] <= LIMITS[tenant] for tenant in TENANTS)
            assert room is None or len(adapters_in(running)) <= room
            if len(running) < places:
                able = [each for each in waiting if by_tenant[each.tenant] < LIMITS[each.tenant]]
                if room is None or len(adapters_in(running)) < room:
                    assert not able
                else:
                    assert not any(each.adapter is None for each in able)

    def test_pass_over_a_tenant_at_its_own_limit(self) -> None:
        """Others use them meanwhile; its next request starts when one of its own ends."""
        dispatcher = Dispatcher(3, AdapterRoom(None))
        mine, others = [ticket("a") for _ in range(3)], [ticket("b") for _ in range(3)]
        push(dispatcher, *mine, limit=1)
        push(dispatcher, *others)

        assert fill(dispatcher) == [mine[0], *others[:2]]
        dispatcher.finish(others[0], 100)
        assert fill(dispatcher) == [others[2]]
        dispatcher.finish(mine[0], 100)
        assert fill(dispatcher) == [mine[1]]


class TestAdapters:
    """Requests of more adapters than the engine runs at once."""

    def test_of_running_ones_go_ahead(self) -> None:
        """Requests of one adapter run together instead of one adapter after another."""
        dispatcher = Dispatcher(4, AdapterRoom(1, patience=100))
        push(dispatcher, *(ticket(adapter=adapter) for adapter in "xyxyxyxy"))

        assert [each.adapter for each in fill(dispatcher)] == list("xxxx")

    def test_switched_off_they_go_in_fair_order(self) -> None:
        """Without a limit nobody is passed over."""
        dispatcher = Dispatcher(4, AdapterRoom(None))
        push(dispatcher, *(ticket(adapter=adapter) for adapter in "xyxyxyxy"))

        assert [each.adapter for each in fill(dispatcher)] == list("xyxy")

    def test_a_cold_one_waits_for_as_many_as_the_patience_and_then_for_the_engine(self) -> None:
        """However many requests of hot adapters keep coming."""
        places, patience = 4, 10
        dispatcher = Dispatcher(places, AdapterRoom(2, patience))
        push(dispatcher, *(ticket("a", adapter) for adapter in "xyxy"))
        running = deque(fill(dispatcher))
        cold = ticket("b", "z")
        push(dispatcher, cold)
        started = 0
        while not dispatcher.is_running(cold):
            push(dispatcher, ticket("a", "xy"[started % 2]))
            dispatcher.finish(running.popleft(), 100)
            fresh = fill(dispatcher)
            running.extend(fresh)
            started += len(fresh)

        assert patience <= started <= patience + places + 1

    @given(st.lists(st.sampled_from("wxyz"), min_size=1, max_size=30), st.integers(0, 5), st.integers(1, 3))
    def test_all_get_their_turn_in_a_flood_of_one(self, cold: list[str], patience: int, limit: int) -> None:
        """No request of any adapter waits for ever, though each one that ends is followed by another of a hot one."""
        places = 4
        dispatcher = Dispatcher(places, AdapterRoom(limit, patience))
        push(dispatcher, *(ticket("hot", "hot") for _ in range(places)))
        running = deque(fill(dispatcher))
        left = {id(each): each for each in (ticket(f"t-{adapter}", adapter) for adapter in cold)}
        push(dispatcher, *left.values())
        bound = (len(cold) + 1) * (patience + 2 * places)
        for _ in range(bound):
            push(dispatcher, ticket("hot", "hot"))
            dispatcher.finish(running.popleft(), 100)
            for fresh in fill(dispatcher):
                left.pop(id(fresh), None)
                running.append(fresh)

        assert not left

    def test_a_due_one_that_leaves_makes_room_for_nobody(self) -> None:
        """The adapters that were to make room for it go on."""
        dispatcher = Dispatcher(2, AdapterRoom(1, patience=1))
        push(dispatcher, ticket("a", "x"), cold := ticket("b", "y"), *(ticket("a", "x") for _ in range(4)))
        running = fill(dispatcher)
        assert adapters_in(running) == {"x"}
        dispatcher.finish(running.pop(), 100)
        assert fill(dispatcher) == []  # x closes for y

        dispatcher.remove(cold)

        assert [each.adapter for each in fill(dispatcher)] == ["x"]
