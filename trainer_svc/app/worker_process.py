"""Starts a run's child process and stops it: politely, then by force, and always when the service lets go."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence

from trainer_svc.domain.run import PARENT_VARIABLE, RunFolder

THREAD_WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}
"""How threads wait for each other. Those that sleep at once take as long to wake as many of a small base's operations:
two are then no faster than one. Those that spin for long take the time of whoever shares the processors. A thousand
turns, some microseconds, are the middle (30 steps of 8 rows on two Zen 5 cores: alone 5.8 to 6.3 s and without spinning
8.6 to 8.9; beside a process that never rests 11.0 and 10.4, and with 10,000 turns 27). Only GNU's OpenMP reads them.
"""
_LOOK_SECONDS = 0.25
_MOST_GPUS = 64
"""Of one machine; those that are not there are passed over."""
_GRACE_SECONDS = 30.0
"""A step of a large base on CPU; after it the child is killed, its last checkpoint stays."""


async def run_worker(
    folder: RunFolder, *, threads: int, processes: int = 1, look: Callable[[], Awaitable[str]],
    flags: Sequence[str] = (),
) -> int:  # fmt: skip
    """Runs the child to its end; its exit status, negative for the signal that killed it.

    `look` is called four times a second, and once after the end; the first text that is not empty says why the child
    shall stop.
    """
    process = await _start(folder, threads, processes, flags)
    ended = asyncio.create_task(process.wait())
    stopper: asyncio.Task[None] | None = None
    try:
        while not ended.done():
            await asyncio.wait({ended}, timeout=_LOOK_SECONDS)
            why = await look()
            if why and stopper is None:
                stopper = asyncio.create_task(_stop(process, folder, why))
        await look()
        return ended.result()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        if stopper is not None:
            stopper.cancel()


async def _start(folder: RunFolder, threads: int, processes: int, flags: Sequence[str]) -> asyncio.subprocess.Process:
    environment = {
        **os.environ,
        PARENT_VARIABLE: str(os.getpid()),
        "OMP_NUM_THREADS": str(threads),
        **THREAD_WAITING,
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "CUDA_VISIBLE_DEVICES": ",".join(_gpus(os.environ.get("CUDA_VISIBLE_DEVICES"))[:processes]),
    }
    with (folder.path / "log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "trainer_svc.worker", str(folder.path), *flags,
            stdout=log, stderr=log, env=environment,
        )  # fmt: skip


def _gpus(visible: str | None) -> list[str]:
    """GPUs that trainings may use, in the operator's order.

    One process must see one: transformers would spread its batches over all that it sees, in threads, which our loss
    does not survive.
    """
    return visible.split(",") if visible is not None else [str(number) for number in range(_MOST_GPUS)]


async def _stop(process: asyncio.subprocess.Process, folder: RunFolder, why: str) -> None:
    with contextlib.suppress(OSError):  # a full disk: the signal says the same
        folder.stop.write_text(why)
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(_GRACE_SECONDS)
        process.kill()
