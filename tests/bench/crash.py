"""kill -9 of the engine's process under load: how long until it serves again, and what clients with retry see."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psutil

from inference_svc.domain.residency import ResidentState
from shared.errors import DomainError, Unavailable
from shared.names import AliasName
from tests.bench.replica import Replica, replica
from tests.bench.result import Figures, in_folder, report

_ADAPTERS = 4
_AT_ONCE = 8
_KILLS = 2
_BETWEEN_SECONDS = 5.0


def main() -> None:
    """Prints the figures and writes build/bench/crash.json."""
    report("crash", measure())


def measure() -> Figures:
    """One replica, killed twice."""
    return in_folder(_measure)


async def _measure(folder: Path) -> Figures:
    # A replica loads ahead what aliases mean until half of its places are taken.
    async with replica(folder, resident=2 * _ADAPTERS) as own:
        for number in range(_ADAPTERS):
            revision = own.publish(f"a{number}", 1, seed=number)
            await own.flip(AliasName("bench", f"a{number}", "live"), revision)
        stop, failures, retries, answers = asyncio.Event(), [], [], []

        async def client(number: int) -> None:
            while not stop.is_set():
                begin = time.perf_counter()
                try:
                    await _ask_until_answered(own, f"a{number % _ADAPTERS}", retries)
                except DomainError as err:
                    failures.append(err)
                answers.append((begin, time.perf_counter()))

        clients = [asyncio.create_task(client(number)) for number in range(_AT_ONCE)]
        recoveries = []
        for _ in range(_KILLS):
            await asyncio.sleep(_BETWEEN_SECONDS)
            killed = time.perf_counter()
            _engine().kill()
            while not (back := [end for _, end in answers if end > killed + 1.0]):  # noqa: ASYNC110  # ends by timing
                await asyncio.sleep(0.05)
            recoveries.append(min(back) - killed)
        await asyncio.sleep(_BETWEEN_SECONDS)
        stop.set()
        await asyncio.gather(*clients)
        live = [found for found, _ in own.fleet.residents("bench") if found.state is ResidentState.LIVE]
    return {
        "crash_recovery_s": max(recoveries),
        "crashes": _KILLS,
        "crash_failed_requests": len(failures),
        "crash_retries": len(retries),
        "crash_answers": len(answers),
        "crash_adapters_back": len(live),
        "crash_adapters": _ADAPTERS,
    }


async def _ask_until_answered(own: Replica, adapter: str, retries: list[Unavailable]) -> None:
    """As gRPC clients do: while it is UNAVAILABLE, after the time that the answer says."""
    while True:
        try:
            await own.ask(adapter, f"ticket {time.perf_counter()}")
        except Unavailable as err:
            retries.append(err)
            await asyncio.sleep(err.retry_after_seconds or 1.0)
        else:
            return


def _engine() -> psutil.Process:
    children = psutil.Process().children()
    return next(child for child in children if "EngineCore" in " ".join(child.cmdline()))


if __name__ == "__main__":
    main()
