"""Hundreds of adapters on one engine: throughput over how many are asked for, and memory over many requests."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from pathlib import Path

import psutil

from tests.bench.replica import Replica, replica
from tests.bench.result import Figures, in_folder, report

_ADAPTERS = 500
_SPREADS = (1, 8, 64, 500)
_ROUNDS = 5
_REQUESTS = 400
"""Of one spread in one round."""
_AT_ONCE = 64
_ENDURANCE = 20_000
_SETTLED = 2_000
"""Requests after which memory is looked at first: allocators have what they need by then."""


def main() -> None:
    """Prints the figures and writes build/bench/residency.json."""
    report("residency", measure())


def measure() -> Figures:
    """One replica that holds all adapters; spreads take turns."""
    return in_folder(_measure)


async def _measure(folder: Path) -> Figures:
    async with replica(folder, resident=_ADAPTERS + 1) as own:
        for number in range(_ADAPTERS):
            own.publish(f"a{number}", 1, seed=number)
        begin = time.perf_counter()
        await _ask_all(own, list(range(_ADAPTERS)), seed=0)
        load_seconds = (time.perf_counter() - begin) / _ADAPTERS
        speeds: dict[int, list[float]] = {spread: [] for spread in _SPREADS}
        for turn in range(_ROUNDS + 1):
            for spread in _SPREADS if turn % 2 else reversed(_SPREADS):
                rng = random.Random(turn * 1000 + spread)
                begin = time.perf_counter()
                await _ask_all(own, [rng.randrange(spread) for _ in range(_REQUESTS)], seed=turn)
                if turn:  # the first one warms caches
                    speeds[spread].append(_REQUESTS / (time.perf_counter() - begin))
        rng, memory = random.Random(0), [0, 0]
        for place, count in enumerate((_SETTLED, _ENDURANCE - _SETTLED)):
            await _ask_all(own, [rng.randrange(_ADAPTERS) for _ in range(count)], seed=100 + place)
            memory[place] = _memory()
    ratios = {
        f"throughput_{spread}_vs_1": statistics.median(a / b for a, b in zip(speeds[spread], speeds[1], strict=True))
        for spread in _SPREADS[1:]
    }
    return {
        **ratios,
        "one_adapter_requests_per_s": statistics.median(speeds[1]),
        "load_and_first_answer_ms": load_seconds * 1000,
        "memory_growth_ratio": memory[1] / memory[0],
        "memory_mib": memory[1] >> 20,
        "endurance_requests": _ENDURANCE,
    }


async def _ask_all(own: Replica, numbers: list[int], seed: int) -> None:
    """All requests, `_AT_ONCE` at a time; one that fails ends the benchmark."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(index: int, number: int) -> None:
        async with places:
            await own.ask(f"a{number}/revisions/1", f"ticket {index}", seed=seed)

    await asyncio.gather(*(one(index, number) for index, number in enumerate(numbers)))


def _memory() -> int:
    """Resident bytes of this process and the engine's, pages that they share counted once each."""
    own = psutil.Process()
    return sum(process.memory_full_info().pss for process in (own, *own.children(recursive=True)))


if __name__ == "__main__":
    main()
