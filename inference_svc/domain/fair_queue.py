"""The order in which waiting requests get the engine: a fair share of tokens for each lane, in it for each tenant.

Two levels (Bennett, Zhang, "Hierarchical Packet Fair Queueing Algorithms", SIGCOMM 1996): lanes by virtual end
(Golestani, "A Self-Clocked Fair Queueing Scheme", INFOCOM 1994), tenants by virtual start (Goyal, Vin, Cheng,
"Start-time Fair Queuing", SIGCOMM 1996). Charges are those of the virtual token counter of Sheng et al., "Fairness in
Serving Large Language Models", OSDI 2024, in its variant with predicted lengths: a request is charged its expected
tokens when it starts, and the difference when it ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from inference_svc.domain.lane import LANE_WEIGHTS, Lane

_SWEEP_FLOWS = 64
"""Tenants that may have left debts behind before the first look for debts that are paid."""


@dataclass(eq=False)
class Ticket:
    """A request that wants the engine. `tokens` is what it is expected to cost: uncached prompt plus output."""

    tenant: str
    lane: Lane
    adapter: str | None
    """None for the base model."""
    tokens: int
    weight: float = 1.0
    """Of the tenant: a tenant of weight 2 gets twice the tokens of one of weight 1."""
    arrival: int = 0
    """Number by which the queue knows it; set when it is put in."""
    overtaken: int = 0
    """Later requests that went ahead because their adapters were running."""


@dataclass
class _Flow:
    """One tenant in one lane."""

    served: float
    """Tokens charged over the weight: virtual time at which the next request of this flow starts."""
    running: int = 0
    waiting: dict[int, Ticket] = field(default_factory=dict)
    """By arrival, oldest first."""


@dataclass
class _LaneQueue:
    """One lane."""

    weight: float
    served: float = 0.0
    virtual: float = 0.0
    """Virtual time: the start of the latest request that was taken, its end if nobody waited then. Never goes back."""
    flows: dict[str, _Flow] = field(default_factory=dict)

    def is_contended(self, held: AbstractSet[str]) -> bool:
        """Whether a tenant waits here that is not held."""
        return any(flow.waiting and tenant not in held for tenant, flow in self.flows.items())


class FairQueue:
    """Waiting requests in fair order.

    For two tenants of a lane that both have requests waiting throughout an interval, in which they start requests of at
    most `l` tokens, the tokens served over weight differ by at most `l_f / w_f + l_g / w_g` where the expected tokens
    were right (SFQ, theorem 1). Where they were wrong, by what the running requests were wrong by on top.

    A tenant that comes back from idleness starts at the present virtual time: it has saved up nothing and owes what it
    owed. So does a tenant that was held (see `hold`).
    """

    def __init__(self, lane_weights: Mapping[Lane, float] = LANE_WEIGHTS) -> None:
        self._lanes = {lane: _LaneQueue(weight) for lane, weight in lane_weights.items()}
        self._virtual = 0.0
        self._arrivals = 0
        self._waiting: Counter[str] = Counter()
        self._held: set[str] = set()
        self._running = 0
        self._sweep_at = _SWEEP_FLOWS

    def __len__(self) -> int:
        """Requests that wait."""
        return self._waiting.total()

    def __contains__(self, ticket: Ticket) -> bool:
        """Whether it waits."""
        flow = self._lanes[ticket.lane].flows.get(ticket.tenant)
        return flow is not None and flow.waiting.get(ticket.arrival) is ticket

    def waiting(self, tenant: str) -> int:
        """Requests of one tenant that wait, in all lanes."""
        return self._waiting[tenant]

    def push(self, ticket: Ticket) -> None:
        """Puts a request at the end of its tenant's in its lane."""
        self._arrivals += 1
        ticket.arrival = self._arrivals
        lane = self._lanes[ticket.lane]
        flow = lane.flows.setdefault(ticket.tenant, _Flow(lane.virtual))
        if not flow.waiting and ticket.tenant not in self._held:
            self._join(lane, flow)
        flow.waiting[ticket.arrival] = ticket
        self._waiting[ticket.tenant] += 1

    def order(self) -> Iterator[Ticket]:
        """Waiting requests but held ones: the one whose turn it is, then those that may go if it cannot.

        The queue must not change while this is read.
        """
        # Lanes by the virtual end of their next request, not by its start: a batch request that comes alone first waits
        # for its ninth, instead of going before interactive ones because its lane was idle.
        turns = []
        for lane in self._lanes.values():
            contending = [flow for tenant, flow in lane.flows.items() if flow.waiting and tenant not in self._held]
            if contending:
                flows = sorted(contending, key=lambda flow: (flow.served, next(iter(flow.waiting))))
                first = next(iter(flows[0].waiting.values()))
                turns.append((lane.served + first.tokens / lane.weight, flows))
        for _, flows in sorted(turns, key=lambda turn: turn[0]):
            for flow in flows:
                yield from flow.waiting.values()

    def take(self, ticket: Ticket) -> None:
        """The engine begins with a waiting request, which is charged what it is expected to cost."""
        self._withdraw(ticket)
        lane = self._lanes[ticket.lane]
        flow = lane.flows[ticket.tenant]
        self._virtual = max(self._virtual, lane.served)
        lane.virtual = max(lane.virtual, flow.served)
        flow.running += 1
        self._running += 1
        self._charge(ticket, ticket.tokens)
        # What was used while nobody waited was nobody else's: newcomers are lifted to the last that left (VTC, alg. 2).
        if not lane.is_contended(self._held):
            lane.virtual = max(lane.virtual, flow.served)
        if not any(each.is_contended(self._held) for each in self._lanes.values()):
            self._virtual = max(self._virtual, lane.served)

    def settle(self, ticket: Ticket, tokens: int) -> None:
        """The engine is done with a request that was taken, which has cost `tokens`."""
        self._charge(ticket, tokens - ticket.tokens)
        self._lanes[ticket.lane].flows[ticket.tenant].running -= 1
        self._running -= 1
        self._forget()

    def remove(self, ticket: Ticket) -> None:
        """A waiting request goes away; it is charged nothing."""
        self._withdraw(ticket)
        self._forget()

    def hold(self, tenant: str) -> None:
        """The tenant's requests wait without a turn, until `release`: it is at a limit of its own."""
        self._held.add(tenant)

    def release(self, tenant: str) -> None:
        """The tenant's requests have their turn again, as if they came now."""
        if tenant in self._held:
            for lane in self._lanes.values():
                flow = lane.flows.get(tenant)
                if flow is not None and flow.waiting:
                    self._join(lane, flow)
            self._held.discard(tenant)

    def longest(self) -> Ticket:
        """The newest request of the tenant that has most waiting for its weight, of its batch lane if there is one.

        Whom a full queue refuses, so that a tenant who fills it shuts out nobody but itself (Suter et al., "Buffer
        management schemes for supporting TCP in gigabit routers with per-flow queueing", 1999: longest queue drop).
        Among equals it is the newest of all. The queue must not be empty.
        """
        newest: dict[str, Ticket] = {}
        for lane in (Lane.INTERACTIVE, Lane.BATCH):
            for tenant, flow in self._lanes[lane].flows.items():
                if flow.waiting:
                    newest[tenant] = next(reversed(flow.waiting.values()))
        return max(newest.values(), key=lambda last: (self._waiting[last.tenant] / last.weight, last.arrival))

    def _join(self, lane: _LaneQueue, flow: _Flow) -> None:
        """A flow begins to contend, and with it its lane unless that contends already: neither has saved anything."""
        if not lane.is_contended(self._held):
            lane.served = max(lane.served, self._virtual)
        flow.served = max(flow.served, lane.virtual)

    def _charge(self, ticket: Ticket, tokens: int) -> None:
        lane = self._lanes[ticket.lane]
        lane.served += tokens / lane.weight
        lane.flows[ticket.tenant].served += tokens / ticket.weight

    def _withdraw(self, ticket: Ticket) -> None:
        del self._lanes[ticket.lane].flows[ticket.tenant].waiting[ticket.arrival]
        self._waiting[ticket.tenant] -= 1
        if not self._waiting[ticket.tenant]:
            del self._waiting[ticket.tenant]

    def _forget(self) -> None:
        """Drops what no longer decides anything: memory follows the tenants that are here, not those that ever were."""
        if not self._running and not self._waiting:  # the busy period is over: all are equal again
            for lane in self._lanes.values():
                lane.flows.clear()
                lane.served = lane.virtual = 0.0
            self._virtual, self._sweep_at = 0.0, _SWEEP_FLOWS
            return
        if sum(len(lane.flows) for lane in self._lanes.values()) < self._sweep_at:
            return
        for lane in self._lanes.values():
            lane.flows = {
                tenant: flow
                for tenant, flow in lane.flows.items()
                if flow.waiting or flow.running or flow.served > lane.virtual
            }
        self._sweep_at = max(_SWEEP_FLOWS, 2 * sum(len(lane.flows) for lane in self._lanes.values()))
