"""The order in which waiting requests get the engine."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_svc.domain.fair_queue import FairQueue, Ticket
from inference_svc.domain.lane import LANE_WEIGHTS, Lane

WEIGHTS = {"a": 1.0, "b": 2.0, "c": 0.5}
MOST_TOKENS = 500
costs = st.integers(1, MOST_TOKENS)


def ticket(tenant: str, tokens: int = 100, lane: Lane = Lane.INTERACTIVE, weight: float = 1.0) -> Ticket:
    """A request of the base model."""
    return Ticket(tenant, lane, None, tokens, weight)


def start(queue: FairQueue) -> Ticket:
    """The engine begins with the request whose turn it is."""
    first = next(queue.order())
    queue.take(first)
    return first


def serve(queue: FairQueue, count: int) -> list[Ticket]:
    """The next requests, one after another, each of which costs what was expected."""
    served = []
    for _ in range(count):
        served.append(start(queue))
        queue.settle(served[-1], served[-1].tokens)
    return served


def backlog(queue: FairQueue, tenants: str, count: int, **options: object) -> list[Ticket]:
    """As many requests for each tenant, one tenant after the other."""
    pushed = [ticket(tenant, **options) for tenant in tenants for _ in range(count)]
    for each in pushed:
        queue.push(each)
    return pushed


class TestTenants:
    """Tenants of one lane."""

    def test_take_turns_whoever_came_first(self) -> None:
        """Ten requests of one tenant do not hold up the first of another."""
        queue = FairQueue()
        backlog(queue, "ab", 10)

        assert [each.tenant for each in serve(queue, 6)] == list("ababab")

    def test_pay_for_tokens_not_for_requests(self) -> None:
        """A tenant whose requests cost three times as much gets a third of them."""
        queue = FairQueue()
        backlog(queue, "a", 40, tokens=300)
        backlog(queue, "b", 40, tokens=100)

        served = Counter(each.tenant for each in serve(queue, 40))

        assert served == {"a": 10, "b": 30}

    @given(st.lists(st.tuples(st.sampled_from("abc"), costs), min_size=30, max_size=200))
    def test_get_tokens_by_weight_while_they_wait(self, requests: list[tuple[str, int]]) -> None:
        """For tenants with requests waiting throughout, tokens over weight differ by at most one request of each."""
        queue = FairQueue()
        for tenant, tokens in requests:
            queue.push(ticket(tenant, tokens, weight=WEIGHTS[tenant]))
        served: dict[str, float] = dict.fromkeys("abc", 0.0)
        largest = {
            t: max((tokens for tenant, tokens in requests if tenant == t), default=0) / WEIGHTS[t] for t in "abc"
        }

        while all(queue.waiting(tenant) for tenant in "abc"):
            (each,) = serve(queue, 1)
            served[each.tenant] += each.tokens / WEIGHTS[each.tenant]

            for one in "abc":
                for other in "abc":
                    assert abs(served[one] - served[other]) <= largest[one] + largest[other] + 1e-6

    @given(st.data())
    def test_get_their_share_however_wrong_the_expectations_were(self, data: st.DataObject) -> None:
        """The difference stays within what the running requests were wrong by, plus one request of each."""
        queue, places = FairQueue(), 4
        tenants = "ab"
        for tenant in tenants * 60:
            queue.push(ticket(tenant, data.draw(costs), weight=WEIGHTS[tenant]))
        served: dict[str, float] = defaultdict(float)
        running: list[Ticket] = []

        while all(queue.waiting(tenant) for tenant in tenants):
            while len(running) < places:
                running.append(start(queue))
            done = running.pop(data.draw(st.integers(0, places - 1)))
            cost = data.draw(costs)
            queue.settle(done, cost)
            served[done.tenant] += cost / WEIGHTS[done.tenant]

            assert abs(served["a"] - served["b"]) <= 2 * (places + 1) * MOST_TOKENS

    def test_that_were_idle_have_saved_up_nothing(self) -> None:
        """Who comes back shares from now on; it does not catch up on what others had meanwhile."""
        queue = FairQueue()
        backlog(queue, "a", 30)
        serve(queue, 10)
        backlog(queue, "b", 30)

        assert Counter(each.tenant for each in serve(queue, 20)) == {"a": 10, "b": 10}

    def test_that_were_idle_still_owe(self) -> None:
        """Leaving and coming back does not clear a debt."""
        queue = FairQueue()
        backlog(queue, "a", 1, tokens=950)
        backlog(queue, "b", 20)
        (first,) = serve(queue, 1)
        backlog(queue, "a", 1)

        assert first.tenant == "a"
        assert [each.tenant for each in serve(queue, 12)].index("a") == 10

    def test_that_are_held_have_no_turn_and_save_up_nothing(self) -> None:
        """A tenant at its own limit waits by its own doing."""
        queue = FairQueue()
        backlog(queue, "ab", 30)
        queue.hold("b")
        assert {each.tenant for each in serve(queue, 10)} == {"a"}
        queue.release("b")

        assert Counter(each.tenant for each in serve(queue, 20)) == {"a": 10, "b": 10}

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(Lane), costs), max_size=60))
    def test_keep_their_own_order_within_a_lane(self, requests: list[tuple[str, Lane, int]]) -> None:
        """First come, first served among a tenant's own."""
        queue = FairQueue()
        for tenant, lane, tokens in requests:
            queue.push(ticket(tenant, tokens, lane))

        own: dict[tuple[str, Lane], list[int]] = defaultdict(list)
        for each in serve(queue, len(requests)):
            own[each.tenant, each.lane].append(each.arrival)

        assert all(arrivals == sorted(arrivals) for arrivals in own.values())
        assert sum(map(len, own.values())) == len(requests)


class TestLanes:
    """Interactive and batch requests."""

    def test_interactive_goes_first(self) -> None:
        """Batch work that came before waits."""
        queue = FairQueue()
        backlog(queue, "a", 1, lane=Lane.BATCH)
        backlog(queue, "b", 1)

        assert [each.lane for each in serve(queue, 2)] == [Lane.INTERACTIVE, Lane.BATCH]

    def test_batch_never_starves(self) -> None:
        """It gets its ninth from a replica that is never idle."""
        queue = FairQueue()
        backlog(queue, "ab", 100)
        backlog(queue, "ab", 100, lane=Lane.BATCH)

        lanes = Counter(each.lane for each in serve(queue, 90))

        assert lanes[Lane.INTERACTIVE] / lanes[Lane.BATCH] == LANE_WEIGHTS[Lane.INTERACTIVE] / LANE_WEIGHTS[Lane.BATCH]

    def test_an_idle_lane_has_saved_up_nothing(self) -> None:
        """After an hour without batch work the first of it does not push interactive requests aside."""
        queue = FairQueue()
        backlog(queue, "a", 200)
        serve(queue, 100)
        backlog(queue, "b", 50, lane=Lane.BATCH)

        assert Counter(each.lane for each in serve(queue, 18)) == {Lane.INTERACTIVE: 16, Lane.BATCH: 2}

    def test_a_lane_of_held_tenants_has_saved_up_nothing(self) -> None:
        """Interactive requests that wait for their own tenant's limit earn no burst over batch work."""
        queue = FairQueue()
        backlog(queue, "a", 50)
        backlog(queue, "b", 200, lane=Lane.BATCH)
        queue.hold("a")
        serve(queue, 100)
        queue.release("a")

        assert Counter(each.lane for each in serve(queue, 36))[Lane.BATCH] in (3, 4)


class TestCounts:
    """Coming and going."""

    @given(st.data())
    def test_are_exact_whoever_leaves_when(self, data: st.DataObject) -> None:
        """Any sequence of arrivals, starts, ends and departures leaves the numbers that it should, and at last none."""
        queue = FairQueue()
        waiting: list[Ticket] = []
        running: list[Ticket] = []
        for _ in range(data.draw(st.integers(0, 40))):
            moves = ["push"] + ["take", "remove"] * bool(waiting) + ["settle"] * bool(running)
            match data.draw(st.sampled_from(moves)):
                case "push":
                    waiting.append(
                        ticket(data.draw(st.sampled_from("abc")), data.draw(costs), data.draw(st.sampled_from(Lane)))
                    )
                    queue.push(waiting[-1])
                case "take":
                    waiting.remove(taken := start(queue))
                    running.append(taken)
                case "remove":
                    queue.remove(waiting.pop(data.draw(st.integers(0, len(waiting) - 1))))
                case "settle":
                    queue.settle(running.pop(data.draw(st.integers(0, len(running) - 1))), data.draw(costs))

            assert len(queue) == len(waiting)
            assert {each.arrival for each in queue.order()} == {each.arrival for each in waiting}
            assert all(each in queue for each in waiting)
            assert not any(each in queue for each in running)
            assert all(queue.waiting(t) == sum(each.tenant == t for each in waiting) for t in "abc")

    def test_memory_follows_the_tenants_that_are_here(self) -> None:
        """Tenants that came once, on a replica that is never idle, leave nothing behind."""
        queue = FairQueue()
        backlog(queue, "a", 1)
        start(queue)  # runs for ever, so that the busy period never ends
        for number in range(2_000):
            queue.push(ticket(f"t{number}"))
            serve(queue, 1)

        assert sum(len(lane.flows) for lane in queue._lanes.values()) < 200

    def test_a_busy_period_leaves_no_debts(self) -> None:
        """When nobody runs or waits, all are equal again."""
        queue = FairQueue()
        backlog(queue, "a", 5, tokens=10_000)
        serve(queue, 5)
        backlog(queue, "ab", 1)

        assert [each.tenant for each in serve(queue, 2)] == ["a", "b"]


class TestLongest:
    """Whom a full queue refuses."""

    def test_is_the_newest_of_whoever_has_most_waiting(self) -> None:
        """Never a tenant with less."""
        queue = FairQueue()
        pushed = backlog(queue, "a", 3) + backlog(queue, "b", 2)

        assert queue.longest() is pushed[2]

    def test_weighs_by_the_tenants_weight(self) -> None:
        """Twice the weight may wait with twice as many."""
        queue = FairQueue()
        backlog(queue, "a", 3, weight=2.0)
        pushed = backlog(queue, "b", 2)

        assert queue.longest() is pushed[-1]

    @pytest.mark.parametrize("first", Lane)
    def test_is_batch_work_first(self, first: Lane) -> None:
        """Of the same tenant."""
        queue = FairQueue()
        second = Lane.BATCH if first is Lane.INTERACTIVE else Lane.INTERACTIVE
        pushed = backlog(queue, "a", 2, lane=first) + backlog(queue, "a", 2, lane=second)

        assert queue.longest() is pushed[1 if first is Lane.BATCH else 3]
