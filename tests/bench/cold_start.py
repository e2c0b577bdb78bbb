"""An adapter that was never loaded: from its first request to the first token, and what others feel of it."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncGenerator
from itertools import chain
from pathlib import Path

from inference_svc.app.meter import Meter
from inference_svc.app.ports import EngineCall
from inference_svc.app.progress import Progress
from inference_svc.domain.generation import Sampling
from inference_svc.domain.residency import Resident, ResidentState
from shared.adapter.canary import RollbackReason
from shared.adapter.manifest import Canary
from shared.names import AliasName, RevisionName
from tests.bench.replica import Replica, replica
from tests.bench.result import Figures, in_folder, report
from tests.bench.undisturbed import Undisturbed

_WARM = 4
_MEASURED = 2
"""Revision of a cold adapter that is measured: the first one only tells what its canaries are."""
_CANARIES = 5
_CANARY_TOKENS = 16
_ROUNDS = 12
"""Of one block with cold requests and one without: each side's 99th percentile rests on dozens of requests, for a
machine that has a hiccup now and then."""
_REPEATS = 6
"""Of rounds that were disturbed; what others felt in them does not count, the cold starts do."""
_COLD = 4
"""Requests of a block; each wants an adapter that was never loaded, in a repeated round, too."""
_RESAMPLES = 2000
"""Of the blocks, for the interval."""
_BLOCK_SECONDS = 6.0
_AT_ONCE = 8
_STAGES = {
    ResidentState.FETCHING: "fetch", ResidentState.VERIFYING: "verify", ResidentState.LOADING: "load",
    ResidentState.PROVING: "prove",
}  # fmt: skip


class _Stages:
    """Implements `Observer`: seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def request_begins(self, progress: Progress) -> None:
        """Of no interest."""

    def request_ends(self, progress: Progress, outcome: str) -> None:
        """Of no interest."""

    def revision_moves(self, resident: Resident, before: ResidentState, seconds: float) -> None:
        """Notes the stage that ended."""
        if resident.revision.number == _MEASURED and before in _STAGES:
            self.seconds[_STAGES[before]].append(seconds)

    def revision_pinned(self, resident: Resident) -> None:
        """Of no interest."""

    def pins_change(self, unknown: int) -> None:
        """Of no interest."""

    def revision_forgotten(self, resident: Resident) -> None:
        """Of no interest."""

    def alias_flips(self, alias: AliasName, revision: RevisionName) -> None:
        """Of no interest."""

    def canary_rolls_back(self, alias: AliasName, revision: RevisionName, reason: RollbackReason) -> None:
        """Not of interest."""

    def revision_evicted(self, revision: RevisionName) -> None:
        """Of no interest."""


def main() -> None:
    """Prints the figures and writes build/bench/cold_start.json."""
    report("cold_start", measure())


def measure() -> Figures:
    """One replica with warm adapters under load, beside which cold ones are asked for one after another."""
    return in_folder(_measure)


async def _measure(folder: Path) -> Figures:
    stages = _Stages()
    async with replica(folder, resident=_WARM + 2, meter=Meter([stages])) as own:
        warm = [f"w{number}" for number in range(_WARM)]
        for seed, adapter in enumerate(warm):
            own.publish(adapter, 1, seed)
        numbers = range(_COLD * (_ROUNDS + _REPEATS))
        cold = [await _with_canaries(own, f"c{number}", seed=100 + number) for number in numbers]
        first_tokens: list[float] = []
        await _block(own, warm, [])  # warms caches

        async def one_round() -> tuple[list[float], list[float]]:
            calm, _ = await _block(own, warm, [])
            beside_cold, firsts = await _block(own, warm, [cold.pop() for _ in range(_COLD)])
            first_tokens.extend(firsts)
            return calm, beside_cold

        undisturbed = Undisturbed(_REPEATS)
        rounds = [await undisturbed.wait(one_round) for _ in range(_ROUNDS)]
    alone, beside = (list(side) for side in zip(*rounds, strict=True))
    low, high = _interval(alone, beside)
    return {
        "cold_start_ms": 1000 * statistics.median(first_tokens),
        "cold_start_max_ms": 1000 * max(first_tokens),
        **{f"cold_{name}_ms": 1000 * statistics.median(stages.seconds[name]) for name in _STAGES.values()},
        "cold_prefill_ms": 1000 * statistics.median(_rests(first_tokens, stages)),
        "cold_start_others_p99_ratio": _p99(beside) / _p99(alone),
        "cold_start_others_p99_ratio_low": low,
        "cold_start_others_p99_ratio_high": high,
        "cold_start_repeats": _REPEATS - undisturbed.repeats_left,
        "cold_start_worst_stolen_ratio": undisturbed.worst_stolen,
        "cold_starts": len(first_tokens),
        "others_requests": sum(map(len, beside)),
        "others_p50_ms": 1000 * statistics.median(chain.from_iterable(alone)),
        "others_p99_ms": 1000 * _p99(alone),
    }


def _rests(first_tokens: list[float], stages: _Stages) -> list[float]:
    """Seconds from the end of each load to the first token: the queue, the prefill, and the way out."""
    loads = zip(*(stages.seconds[name] for name in _STAGES.values()), strict=True)
    return [first - sum(load) for first, load in zip(first_tokens, loads, strict=True)]


async def _with_canaries(own: Replica, adapter: str, seed: int) -> RevisionName:
    """A revision that must replay what the engine says under the same weights; it was never loaded itself."""
    first = own.publish(adapter, 1, seed)
    await own.ask(f"{adapter}/revisions/1")
    resident = next(found for found, _ in own.fleet.residents("bench") if found.revision == first)
    assert resident.contract is not None
    canaries = []
    for number in range(_CANARIES):
        prompt = own.renderer.prompt_ids(f"canary {number}")
        call = EngineCall(
            request_id=f"{adapter}-{number}", prompt_ids=prompt, contract_digest=resident.contract.digest,
            max_tokens=_CANARY_TOKENS, sampling=Sampling(), adapter=resident.key, tenant="bench", stream=False,
        )  # fmt: skip
        tokens = [token async for chunk in own.supervisor.generate(call) for token in chunk.token_ids]
        canaries.append(Canary(tuple(prompt), tuple(tokens)))
    return own.publish(adapter, _MEASURED, seed, tuple(canaries))


async def _block(own: Replica, warm: list[str], cold: list[RevisionName]) -> tuple[list[float], list[float]]:
    """Latencies of the warm requests of one block, and of the cold ones until their first piece of text."""
    end, latencies, firsts = time.perf_counter() + _BLOCK_SECONDS, [], []

    async def worker(number: int) -> None:
        while (begin := time.perf_counter()) < end:
            await own.ask(f"{warm[number % len(warm)]}/revisions/1", f"ticket {begin}")
            latencies.append(time.perf_counter() - begin)

    async def newcomers() -> None:
        for number, revision in enumerate(cold):
            await asyncio.sleep(max(0.0, end - time.perf_counter()) / (len(cold) - number + 1))
            begin = time.perf_counter()
            await _first_piece(own.stream(f"{revision.adapter}/revisions/{revision.number}"))
            firsts.append(time.perf_counter() - begin)

    await asyncio.gather(*(worker(number) for number in range(_AT_ONCE)), newcomers())
    return latencies, firsts


async def _first_piece(events: AsyncGenerator[object]) -> None:
    try:
        await anext(events)
    finally:
        await events.aclose()


def _p99(blocks: list[list[float]]) -> float:
    """Of all requests of all blocks."""
    return statistics.quantiles(chain.from_iterable(blocks), n=100)[98]


def _interval(alone: list[list[float]], beside: list[list[float]]) -> tuple[float, float]:
    """95 % interval of the ratio, by the bootstrap (Efron, 1979) over blocks: requests of one are not independent."""
    chance = random.Random(0)
    ratios = sorted(
        _p99(chance.choices(beside, k=len(beside))) / _p99(chance.choices(alone, k=len(alone)))
        for _ in range(_RESAMPLES)
    )
    return ratios[round(0.025 * _RESAMPLES)], ratios[round(0.975 * _RESAMPLES)]


if __name__ == "__main__":
    main()
