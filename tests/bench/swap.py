"""Promotions and rollbacks under full load: who answers, what fails, and what it does to latency."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from shared.errors import DomainError
from shared.names import AliasName, RevisionName
from tests.bench.replica import Replica, replica
from tests.bench.result import Figures, in_folder, report
from tests.bench.undisturbed import Undisturbed

_REVISIONS = 10
_ROUNDS = 5
"""Of one block with promotions and one without: both see the same machine."""
_REPEATS = _ROUNDS
"""Of rounds that were disturbed; their latencies do not count, all else does."""
_REQUESTS = 1_000
"""Of a block."""
_SWAPS = 10
"""Of a block with promotions."""
_AT_ONCE = 16
_ALIAS = AliasName("bench", "hot", "live")


@dataclass(frozen=True)
class _Request:
    begin: float
    end: float
    revision: str


@dataclass(frozen=True)
class _Swap:
    """An alias moved: asked for, done, and the first answer of the new revision."""

    revision: str
    asked: float
    done: float


def main() -> None:
    """Prints the figures and writes build/bench/swap.json."""
    report("swap", measure())


def measure() -> Figures:
    """One replica, one adapter that changes and one beside it that does not."""
    return in_folder(_measure)


async def _measure(folder: Path) -> Figures:
    async with replica(folder, resident=8) as own:
        revisions = [own.publish("hot", number, seed=number) for number in range(1, _REVISIONS + 1)]
        swaps = [await _swap(own, revisions[0])]
        # Two ahead and one back, each time another: new revisions, and roll backs to one that has left the engine.
        steps = [(ahead, ahead - 1) for ahead in range(1, _REVISIONS)]
        path = itertools.cycle(revisions[place] for step in steps for place in step)
        blocks: dict[bool, list[_Request]] = {False: [], True: []}
        failed = 0

        async def one_block(is_swapping: bool) -> list[float]:
            nonlocal failed
            requests, errors = await _block(own, path if is_swapping else None, swaps)
            failed += errors
            blocks[is_swapping] += requests
            return [request.end - request.begin for request in requests]

        async def one_round() -> tuple[list[float], list[float]]:
            return await one_block(False), await one_block(True)

        await one_block(False)  # warms caches
        undisturbed = Undisturbed(_REPEATS)
        rounds = [await undisturbed.wait(one_round) for _ in range(_ROUNDS)]
    quiet_p99, swapping_p99 = (_p99(list(chain.from_iterable(side))) for side in zip(*rounds, strict=True))
    answered = [*blocks[False], *blocks[True]]
    firsts = [
        min(r.end for r in answered if r.revision == swap.revision and r.end >= swap.asked) - swap.asked
        for swap in swaps[1:]
        if any(r.revision == swap.revision and r.end >= swap.asked for r in answered)
    ]
    return {
        "swaps": len(swaps) - 1,
        "swap_requests": len(blocks[True]),
        "swap_repeats": _REPEATS - undisturbed.repeats_left,
        "swap_worst_stolen_ratio": undisturbed.worst_stolen,
        "swap_failed_requests": failed,
        "swap_wrong_revision": sum(not _is_valid(request, swaps) for request in answered),
        "swap_p99_ratio": swapping_p99 / quiet_p99,
        "quiet_p99_ms": quiet_p99 * 1000,
        "promote_to_first_answer_p50_s": statistics.median(firsts),
        "promote_to_live_p50_s": statistics.median(swap.done - swap.asked for swap in swaps[1:]),
    }


async def _swap(own: Replica, revision: RevisionName) -> _Swap:
    asked = time.perf_counter()
    await own.flip(_ALIAS, revision)
    return _Swap(str(revision), asked, time.perf_counter())


async def _block(
    own: Replica, path: itertools.cycle[RevisionName] | None, swaps: list[_Swap]
) -> tuple[list[_Request], int]:
    """A block of requests, with promotions spread over it where there is a path to go."""
    numbers, done, errors = iter(range(_REQUESTS)), [], 0

    async def worker() -> None:
        nonlocal errors
        for number in numbers:
            begin = time.perf_counter()
            try:
                answer = await own.ask("hot", f"ticket {number}", seed=number)
            except DomainError:
                errors += 1
            else:
                done.append(_Request(begin, time.perf_counter(), answer.revision))

    async def promote() -> None:
        assert path is not None
        for count in range(_SWAPS):
            while len(done) + errors < count * _REQUESTS // _SWAPS:  # noqa: ASYNC110  # as cheap as can be beside the load
                await asyncio.sleep(0.002)
            swaps.append(await _swap(own, next(path)))

    await asyncio.gather(*(worker() for _ in range(_AT_ONCE)), *([promote()] if path else []))
    return done, errors


def _is_valid(request: _Request, swaps: list[_Swap]) -> bool:
    """Whether the alias meant the revision at some time between the request's begin and end.

    It means a revision from the moment that a promotion is asked for, and the one before until that is done.
    """
    ends = [swap.done for swap in swaps[1:]] + [float("inf")]
    return any(
        swap.revision == request.revision and swap.asked <= request.end and request.begin <= end
        for swap, end in zip(swaps, ends, strict=True)
    )


def _p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]


if __name__ == "__main__":
    main()
