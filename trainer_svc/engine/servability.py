"""Proves that a package can be served: by vLLM itself, in a child process that ends with this one."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from shared.errors import StateConflict, Unavailable
from trainer_svc.domain.run import EXIT_DONE, EXIT_USER_ERROR, PARENT_VARIABLE, RunFolder, RunSpec
from trainer_svc.domain.servability import ServabilityMode, ServabilityProof

_LIMIT_SECONDS = 1800.0
"""vLLM starts in 10 to 30 s on CPUs for the shipped base, in minutes where a large base comes from a slow disk."""
_LOOK_SECONDS = 0.2


def prove_servable(
    package: Path, spec: RunSpec, folder: RunFolder, stop_if_cancelled: Callable[[], None]
) -> ServabilityProof:
    """The proof of a package that has passed `validate_adapter`; it is left in `RunFolder.servability`, too.

    With GPUs, the caller must have let go of its models: what was theirs is given back to vLLM first.

    Raises:
        StateConflict: ADAPTER_REJECTED naming the check that failed.
        Unavailable: NOT_SERVING, vLLM could not be asked: it did not start, or took too long.
        MemoryError: its process was killed, as it is for want of memory.
        Cancelled: `stop_if_cancelled` raised it; the child is gone.
    """
    if spec.servability_proof is ServabilityMode.STATIC:
        return ServabilityProof(ServabilityMode.STATIC, spec.max_lora_rank)
    for path in (folder.servability, folder.unservable):
        path.unlink(missing_ok=True)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    status = _run(package, spec, folder, stop_if_cancelled)
    if status == EXIT_USER_ERROR and folder.unservable.is_file():
        raise StateConflict("ADAPTER_REJECTED", folder.unservable.read_text())
    if status < 0:
        raise MemoryError("the process of vLLM was killed")
    if status != EXIT_DONE:
        raise _unasked(f"its process ended with status {status}, see the log of the run")
    proof = ServabilityProof.from_json(folder.servability.read_bytes())
    proof.check()
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
        "VLLM_PLUGINS": "",
        # As the inference service, whose guard against what is not finite is for this one.
        "VLLM_USE_V2_MODEL_RUNNER": "0",
    }


def _unasked(why: str) -> Unavailable:
    return Unavailable(
        "NOT_SERVING",
        f"vLLM could not be asked whether the adapter serves: {why}",
        hint="create the job again when the machine has room; the operator may set --servability-proof static",
    )


def _run(package: Path, spec: RunSpec, folder: RunFolder, stop_if_cancelled: Callable[[], None]) -> int:
    """Exit status of the child, negative for a signal; it writes where this process logs."""
    environment = os.environ | vllm_environment(spec.threads) | {PARENT_VARIABLE: str(os.getpid())}
    command = [sys.executable, "-m", "trainer_svc.servability", str(folder.path), str(package)]
    until = time.monotonic() + _LIMIT_SECONDS
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL) as process:  # noqa: S603  # our own module
        try:
            while process.poll() is None:
                stop_if_cancelled()
                if time.monotonic() > until:
                    raise _unasked(f"it took more than {_LIMIT_SECONDS:g} s")
                time.sleep(_LOOK_SECONDS)
        finally:
            process.kill()
    return process.returncode
