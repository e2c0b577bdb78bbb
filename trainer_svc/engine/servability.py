"""Shows a package to vLLM itself: in a child process, which ends with this one."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from shared.errors import StateConflict, Unavailable
from trainer_svc.domain.run import (
    EXIT_DISK_FULL,
    EXIT_DONE,
    EXIT_OUT_OF_MEMORY,
    EXIT_USER_ERROR,
    PARENT_VARIABLE,
    RunFolder,
    RunSpec,
)
from trainer_svc.engine.prompt_set import PromptSet, write_prompt_sets

_LIMIT_SECONDS = 1800.0
"""Until the proof is there. vLLM starts in 10 to 30 s on CPUs for the shipped base, in minutes where a large base comes
from a slow disk. How long the answers take that follow depends on how many there are; `run_time_limit` ends those."""
_LOOK_SECONDS = 0.2


def show_to_vllm(
    package: Path, spec: RunSpec, folder: RunFolder, stop_if_cancelled: Callable[[], None],
    prompt_sets: Sequence[PromptSet] = (),
) -> float:  # fmt: skip
    """Proves in real vLLM that a package serves, and has prompts answered; returns the seconds that the proof took.

    The proof is in `RunFolder.servability` then, the answers are in the run's `Memo`. The package has passed
    `validate_adapter`. With GPUs, the caller must have let go of its models: vLLM gets what was theirs.

    Raises:
        StateConflict: ADAPTER_REJECTED naming the check that failed.
        Unavailable: NOT_SERVING, vLLM could not be asked: it did not start, or took too long.
        MemoryError: its process was killed, as it is for want of memory, or found none.
        OSError: ENOSPC, the disk is full.
        Cancelled: `stop_if_cancelled` raised it; the child is gone.
    """
    for path in (folder.servability, folder.unservable):
        path.unlink(missing_ok=True)
    write_prompt_sets(folder.prompt_sets, prompt_sets)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    began = time.monotonic()
    status, proved = _run(package, spec, folder, stop_if_cancelled)
    if status == EXIT_USER_ERROR and folder.unservable.is_file():
        raise StateConflict("ADAPTER_REJECTED", folder.unservable.read_text())
    if status < 0 or status == EXIT_OUT_OF_MEMORY:
        raise MemoryError("the process of vLLM was killed, or found no memory")
    if status == EXIT_DISK_FULL:
        raise OSError(errno.ENOSPC, "the process of vLLM found no space left on the disk")
    if status != EXIT_DONE:
        raise _unasked(f"its process ended with status {status}, see the log of the run")
    folder.prompt_sets.unlink()
    return proved - began


def vllm_environment(threads: int) -> dict[str, str]:
    """What vLLM reads from the environment of its process: everything in that one, on so many threads."""
    return {
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_NO_USAGE_STATS": "1",
        # LoRA on CPUs as the inference service computes it; vLLM's own rounds alike, and takes twice as long.
        "VLLM_PLUGINS": "goldsmith_lora",
        # As the inference service, whose guard against what is not finite is for this one.
        "VLLM_USE_V2_MODEL_RUNNER": "0",
    }


def _unasked(why: str) -> Unavailable:
    return Unavailable(
        "NOT_SERVING",
        f"vLLM could not be asked whether the adapter serves: {why}",
        hint="create the job again when the machine has room; the operator may set --servability-proof static",
    )


def _run(package: Path, spec: RunSpec, folder: RunFolder, stop_if_cancelled: Callable[[], None]) -> tuple[int, float]:
    """Exit status of the child, negative for a signal, and when its proof was there; it writes where this one logs."""
    environment = os.environ | vllm_environment(spec.threads) | {PARENT_VARIABLE: str(os.getpid())}
    command = [sys.executable, "-m", "trainer_svc.servability", str(folder.path), str(package)]
    until, proved = time.monotonic() + _LIMIT_SECONDS, None
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL) as process:  # noqa: S603  # our own module
        try:
            while process.poll() is None:
                stop_if_cancelled()
                if proved is None and folder.servability.is_file():
                    proved = time.monotonic()
                if proved is None and time.monotonic() > until:
                    raise _unasked(f"it took more than {_LIMIT_SECONDS:g} s")
                time.sleep(_LOOK_SECONDS)
        finally:
            process.kill()
    return process.returncode, proved or time.monotonic()
