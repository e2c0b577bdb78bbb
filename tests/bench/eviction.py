"""Who should make room: hit rates of eviction policies on made-up traffic, through the real `Places`.

No engine, no time: each request uses its adapter, which is loaded first where it has no place. Least recently used is
run by cachetools, too, which must agree; Belady's optimum (evict what is needed last) is what a policy could reach that
knows the future and no tenants.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from cachetools import LRUCache
from rich.console import Console
from rich.table import Table

from inference_svc.app.places import Places
from inference_svc.domain.eviction import HALF_LIFE_PLACES, EvictionPolicy, Warmth, warmed
from inference_svc.domain.residency import Resident, ResidentState
from shared.names import RevisionName
from tests.bench.result import keep

_PLACES = 16
_REQUESTS = 20_000
_LOAD = (ResidentState.VERIFYING, ResidentState.LOADING, ResidentState.PROVING, ResidentState.LIVE)
VICTIM = "victim"
"""The tenant that others must not harm, where a trace has one."""

Trace = Sequence[tuple[str, str]]
"""Tenant and adapter of each request."""


class _Aged:
    """The coldest by uses that count half after `half_life` uses: LRU when short, LFU when long, LRFU between."""

    def __init__(self, half_life: float) -> None:
        self._half_life, self._uses = half_life, 0

    def note_use(self, resident: Resident) -> None:
        """Warms it."""
        self._uses += 1
        resident.warmth = warmed(resident.warmth, self._uses, self._half_life)

    def whose_turn_it_is(self, among: Sequence[Resident], inside: Sequence[Resident], coming: Resident) -> Resident:
        """The coldest."""
        return min(among, key=lambda resident: resident.warmth)


class _Largest(_Aged):
    """The coldest of the tenant with most places."""

    def whose_turn_it_is(self, among: Sequence[Resident], inside: Sequence[Resident], coming: Resident) -> Resident:
        """That one."""
        places = Counter(resident.revision.tenant for resident in inside)
        return min(among, key=lambda resident: (-places[resident.revision.tenant], resident.warmth))


_SHORT, _LONG = 1 / 16, 1e6
"""log2(1 + 2^-16) is nothing: only the last use counts; or all of them alike."""
POLICIES: Mapping[str, Callable[[], EvictionPolicy]] = {
    "lru": lambda: _Aged(_SHORT),
    "lfu": lambda: _Aged(_LONG),
    "lrfu": lambda: _Aged(HALF_LIFE_PLACES * _PLACES),
    "largest_lru": lambda: _Largest(_SHORT),
    "largest_lrfu": lambda: _Largest(HALF_LIFE_PLACES * _PLACES),
    "warmth": lambda: Warmth(_PLACES),
}
"""`largest_lru` was in force before this was measured, `warmth` is now."""


def traces(requests: int = _REQUESTS) -> dict[str, Trace]:
    """Each with a seed of its own, for an engine of 16 places."""
    made: dict[str, Callable[[np.random.Generator, int], Trace]] = {
        "uniform": _uniform,
        "zipf": _zipf,
        "zipf_shifting": _shifting,
        "bursts": _bursts,
        "cycling_neighbour": _cycling,
        "flooding_neighbour": _flooding,
        "three_tenants": _three,
    }
    return {name: make(np.random.default_rng(seed), requests) for seed, (name, make) in enumerate(made.items())}


def _named(numbers: Sequence[int], tenants: int) -> Trace:
    return [(f"t{number % tenants}", f"a{number}") for number in numbers]


def _uniform(rng: np.random.Generator, count: int) -> Trace:
    """64 adapters of 8 tenants, all alike: no policy can do better than 16 in 64."""
    return _named(rng.integers(64, size=count).tolist(), 8)


def _ranks(rng: np.random.Generator, count: int, adapters: int, exponent: float = 1.0) -> np.ndarray:
    weights = 1.0 / np.arange(1, adapters + 1) ** exponent
    return rng.choice(adapters, size=count, p=weights / weights.sum())


def _zipf(rng: np.random.Generator, count: int) -> Trace:
    """500 adapters of 50 tenants, the n-th asked for 1/n as often as the first."""
    return _named(rng.permutation(500)[_ranks(rng, count, 500)].tolist(), 50)


def _shifting(rng: np.random.Generator, count: int) -> Trace:
    """The same, with another order of the adapters every 1000 requests."""
    parts = [rng.permutation(500)[_ranks(rng, 1000, 500)] for _ in range(-(-count // 1000))]
    return _named(np.concatenate(parts)[:count].tolist(), 50)


def _bursts(rng: np.random.Generator, count: int) -> Trace:
    """Eight of 500 adapters at a time, each for some 40 requests, then hardly ever again."""
    running, numbers = rng.integers(500, size=8), []
    for _ in range(count):
        place = rng.integers(8)
        if rng.random() < 1 / 40:
            running[place] = rng.integers(500)
        numbers.append(int(running[place]))
    return _named(numbers, 50)


def _beside(rng: np.random.Generator, others: Sequence[str], hot: int, share: float) -> Trace:
    """A victim with `hot` adapters and a `share` of the requests, beside a neighbour who asks for `others` in turn."""
    neighbour = itertools.cycle([("neighbour", other) for other in others])
    mine, who = rng.integers(hot, size=_REQUESTS), rng.random(_REQUESTS) < share
    return [(VICTIM, f"a{number}") if own else next(neighbour) for number, own in zip(mine, who, strict=True)]


def _cycling(rng: np.random.Generator, count: int) -> Trace:
    """Half of the requests are a victim's to 12 adapters; its neighbour cycles through 300."""
    return _beside(rng, [f"a{number}" for number in range(300)], hot=12, share=0.5)[:count]


def _flooding(rng: np.random.Generator, count: int) -> Trace:
    """A victim has 6 adapters and 2 % of the requests; its neighbour the rest, Zipf over 100."""
    flood = [f"a{number}" for number in _ranks(rng, _REQUESTS, 100).tolist()]
    return _beside(rng, flood, hot=6, share=0.02)[:count]


def _three(rng: np.random.Generator, count: int) -> Trace:
    """A victim with 5 adapters and a tenth of the requests, one with 3 and most requests, one who cycles through 50."""
    cycle = itertools.cycle(range(50))
    found = []
    for draw in rng.random(count):
        if draw < 0.1:
            found.append((VICTIM, f"a{rng.integers(5)}"))
        else:
            found.append(("steady", f"a{rng.integers(3)}") if draw < 0.7 else ("cycler", f"a{next(cycle)}"))
    return found


async def replay(trace: Trace, policy: EvictionPolicy, places: int = _PLACES) -> dict[str, float]:
    """Share of the requests that found their adapter loaded: of all (""), and of each tenant."""
    residents: dict[tuple[str, str], Resident] = {}
    hits: dict[str, list[bool]] = defaultdict(list)

    async def unload(resident: Resident) -> None:
        resident.move(ResidentState.UNLOADED)

    engine = Places(places, unload, policy=policy)
    for tenant, adapter in trace:
        found = residents.get((tenant, adapter))
        if found is None:
            name = RevisionName(tenant, adapter, 1)
            found = residents[tenant, adapter] = Resident(name, "", lambda *_: None)
        hits[tenant].append(found.is_open)
        if await engine.take(found):
            for state in _LOAD:
                found.move(state)
        engine.note_use(found)
    rates = {tenant: float(np.mean(each)) for tenant, each in hits.items()}
    return {"": float(np.mean(list(itertools.chain(*hits.values())))), **rates}


def lru_of_cachetools(trace: Trace, places: int = _PLACES) -> float:
    """Hit rate of another implementation."""
    cache: LRUCache[tuple[str, str], bool] = LRUCache(places)
    hits = 0
    for key in trace:
        hits += cache.get(key, False)
        cache[key] = True
    return hits / len(trace)


def optimum(trace: Trace, places: int = _PLACES) -> float:
    """Hit rate of who evicts what is needed last (Belady, IBM Systems Journal 5(2), 1966)."""
    following: dict[tuple[str, str], list[int]] = defaultdict(list)
    for at in range(len(trace) - 1, -1, -1):
        following[trace[at]].append(at)
    inside: set[tuple[str, str]] = set()
    hits = 0
    for key in trace:
        following[key].pop()
        if key in inside:
            hits += 1
            continue
        if len(inside) == places:
            inside.remove(max(inside, key=lambda other: following[other][-1] if following[other] else len(trace)))
        inside.add(key)
    return hits / len(trace)


async def _measure() -> dict[str, dict[str, float]]:
    """By trace and policy; the victim's own as `POLICY.victim`."""
    table: dict[str, dict[str, float]] = {}
    for name, trace in traces().items():
        row = table[name] = {}
        for policy_name, policy in POLICIES.items():
            rates = await replay(trace, policy())
            row[policy_name] = rates[""]
            if VICTIM in rates:
                row[f"{policy_name}.{VICTIM}"] = rates[VICTIM]
        row["optimum"], row["cachetools_lru"] = optimum(trace), lru_of_cachetools(trace)
        assert row["cachetools_lru"] == row["lru"], "two implementations of the same policy"
    return table


def main() -> None:
    """Prints hit rates, the victim's after a stroke, and writes build/bench/eviction.json."""
    table = asyncio.run(_measure())
    columns = [name for name in table["uniform"] if name != "cachetools_lru"]
    screen = Table("trace", *columns, title=f"hit rates of {_REQUESTS:,} requests on {_PLACES} places")
    for name, row in table.items():
        cells = (
            f"{row[column]:.3f}" + (f"/{row[victim]:.3f}" if (victim := f"{column}.{VICTIM}") in row else "")
            for column in columns
        )
        screen.add_row(name, *cells)
    Console(width=160).print(screen)
    keep("eviction", {f"{name}_{key}": value for name, row in table.items() for key, value in row.items()})


if __name__ == "__main__":
    main()
