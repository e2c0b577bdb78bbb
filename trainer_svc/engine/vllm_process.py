"""Shows a package to vLLM itself: in a child process, which ends with this one."""

from __future__ import annotations

import errno
import gc
import logging
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
    SIGNALLED,
    ProcessFailed,
    RunFolder,
    RunSpec,
)
from trainer_svc.domain.servability import ServabilityProof
from trainer_svc.engine.prompt_set import PromptSet, write_prompt_sets

_log = logging.getLogger(__name__)
_SILENCE_SECONDS = 1800.0
"""Without a step of the engine. vLLM starts in 10 to 30 s on CPUs for the shipped base, in minutes where a large base
comes from a slow disk; then a step takes seconds at most."""
_LOOK_SECONDS = 0.2


def show_to_vllm(
    package: Path, spec: RunSpec, folder: RunFolder, look: Callable[[], None], prompt_sets: Sequence[PromptSet] = (),
) -> ServabilityProof:  # fmt: skip
    """Proves in real vLLM that a package serves, and has prompts answered into the run's `Memo`.

    The package has passed `validate_adapter`. With GPUs, the caller must have let go of its models: vLLM gets what was
    theirs. `look` is called some times a second, and may raise.

    Raises:
        StateConflict: ADAPTER_REJECTED naming the check that failed.
        Unavailable: NOT_SERVING, vLLM could not be asked: it did not start, or hangs.
        ProcessFailed: its process was killed.
        MemoryError: it found no memory.
        OSError: ENOSPC, the disk is full.
    """
    for path in (folder.servability, folder.unservable):
        path.unlink(missing_ok=True)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    write_prompt_sets(folder.prompt_sets, prompt_sets)
    folder.vllm_pulse.touch()
    try:
        status = _run(package, spec, folder, look)
    finally:
        folder.prompt_sets.unlink(missing_ok=True)
        folder.vllm_pulse.unlink(missing_ok=True)
    if status == EXIT_USER_ERROR and folder.unservable.is_file():
        raise StateConflict("ADAPTER_REJECTED", folder.unservable.read_text())
    if status < 0:
        raise ProcessFailed(SIGNALLED - status)
    if status == EXIT_OUT_OF_MEMORY:
        raise MemoryError("the process of vLLM found no memory")
    if status == EXIT_DISK_FULL:
        raise OSError(errno.ENOSPC, "the process of vLLM found no space left on the disk")
    if status != EXIT_DONE:
        raise _unanswered(folder, f"its process ended with status {status}, see the log of the run")
    proof = ServabilityProof.from_json(folder.servability.read_bytes())
    _log.info("vLLM repeats %s of each canary, without the adapter %s", proof.canary_ratios, proof.base_ratios)
    return proof


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


def _unanswered(folder: RunFolder, why: str) -> Unavailable:
    what = (
        "has proved the adapter and did not answer its held-out rows"
        if folder.servability.is_file()
        else ("could not be asked whether the adapter serves")
    )
    return Unavailable(
        "NOT_SERVING",
        f"vLLM {what}: {why}",
        hint="create the job again when the machine has room; the operator may set --servability-proof static",
    )


def _run(package: Path, spec: RunSpec, folder: RunFolder, look: Callable[[], None]) -> int:
    """Exit status of the process, negative for a signal; it writes where this one logs."""
    environment = os.environ | vllm_environment(spec.threads) | {PARENT_VARIABLE: str(os.getpid())}
    command = [sys.executable, "-m", "trainer_svc.vllm_worker", str(folder.path), str(package)]
    step, since = 0, time.monotonic()
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL) as process:  # noqa: S603  # our own module
        try:
            while process.poll() is None:
                look()
                if (latest := folder.vllm_pulse.stat().st_mtime_ns) != step:
                    step, since = latest, time.monotonic()
                if time.monotonic() - since > _SILENCE_SECONDS:
                    raise _unanswered(folder, f"it did nothing for {_SILENCE_SECONDS:g} s")
                time.sleep(_LOOK_SECONDS)
        finally:
            process.kill()
    return process.returncode
