"""Several processes that train one adapter, as torchrun starts them: each computes a part of every batch.

Rank 0 alone writes checkpoints, the journal and the adapter; what one of them decides (to stop, to save) all do in the
same step, or the others would wait for it for ever.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import torch
from torch import distributed
from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from trainer_svc.domain.run import (
    EXIT_DISK_FULL,
    EXIT_INTERNAL_ERROR,
    EXIT_OUT_OF_MEMORY,
    EXIT_STOPPED,
    EXIT_USER_ERROR,
    PARENT_VARIABLE,
    SHARE_FLAG,
    SIGNALLED,
    Cancelled,
    ProcessFailed,
    RunFolder,
)

_CAUSES = (EXIT_DISK_FULL, EXIT_OUT_OF_MEMORY, EXIT_USER_ERROR)
_EFFECTS = (EXIT_STOPPED, EXIT_INTERNAL_ERROR)
"""When one process ends, the others lose their connection to it, which is an internal error of theirs and no cause."""
_STORE_VARIABLE = "GOLDSMITH_PROCESS_STORE"
"""The file by which the processes find each other."""
_PATIENCE = timedelta(days=7)
"""For which processes wait for each other: one may validate for hours, and one that died is noticed at once anyway."""


def train_in_processes(folder: RunFolder, count: int) -> None:
    """Trains the run's adapter in so many processes, until `RunFolder.adapter` is there.

    Raises:
        Cancelled: asked to stop; a checkpoint of the last step is on disk.
        ProcessFailed: a process failed or was killed; the others were ended.
    """
    shutil.rmtree(folder.processes, ignore_errors=True)
    folder.processes.mkdir()
    # Nobody outside of this machine has a part in it. They meet in files: torch's own store listens on all interfaces
    # without asking who calls, and unpickles what it holds.
    store = {_STORE_VARIABLE: str(folder.processes / "store"), "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    os.environ |= {**store, "GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint=str(folder.processes / "rendezvous"),
        rdzv_configs={"store_type": "file"},
        local_addr="localhost",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=str(folder.processes)),
        signals_to_handle="SIGTERM",
    )
    handler = signal.getsignal(signal.SIGTERM)
    try:
        # The processes die with this one: they are told its number, as it was told the service's.
        os.environ[PARENT_VARIABLE] = str(os.getpid())
        elastic_launch(config, sys.executable)("-m", "trainer_svc.worker", str(folder.path), SHARE_FLAG)
    except ChildFailedError as err:
        raise cause_of([failure.exitcode for failure in err.failures.values()]) from err
    except SignalException as err:
        raise Cancelled from err
    finally:
        signal.signal(signal.SIGTERM, handler)
        shutil.rmtree(folder.processes, ignore_errors=True)


def cause_of(statuses: list[int]) -> Exception:
    """What the training ended with, by the statuses of all processes that had ended by then; below 0 are signals.

    Once one has ended, torchrun sends SIGTERM to the others, and SIGKILL where that does not help.
    """
    causes = [status for status in _CAUSES if status in statuses]
    killed = [SIGNALLED - status for status in statuses if status < 0 and status != -signal.SIGTERM]
    effects = [status for status in _EFFECTS if status in statuses]
    others = [status if status > 0 else SIGNALLED - status for status in statuses]
    status = [*causes, *killed, *effects, *others][0]
    return Cancelled() if status == EXIT_STOPPED else ProcessFailed(status)


@contextmanager
def joined() -> Iterator[None]:
    """Takes this process's GPU, where there is one for each; leaves the others when its work is done."""
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group(
        backend(),
        init_method=f"file://{os.environ[_STORE_VARIABLE]}",
        rank=int(os.environ["RANK"]),
        world_size=int(os.environ["WORLD_SIZE"]),
        timeout=_PATIENCE,
    )
    yield
    distributed.destroy_process_group()


def backend() -> str | None:
    """Library by which the processes talk; None where there is one alone."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return None
    return "nccl" if torch.cuda.is_available() else "gloo"


def is_first() -> bool:
    """Whether this process is the one that writes; the only one always is."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def any_of(*flags: bool) -> list[bool]:
    """Of each flag, whether one of the processes raised it; all must ask at the same time."""
    if not distributed.is_initialized():
        return list(flags)
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    raised = torch.tensor(flags, dtype=torch.int32, device=device)
    distributed.all_reduce(raised, op=distributed.ReduceOp.MAX)
    return [bool(flag) for flag in raised.tolist()]


def from_first(work: Callable[[], float]) -> float:
    """What the first process's work gives, for all; the others wait. Raises `Cancelled` in all, where it does."""
    if not distributed.is_initialized():
        return work()
    outcome: list[float | None] = [None]
    if is_first():
        with suppress(Cancelled):
            outcome = [work()]
    distributed.broadcast_object_list(outcome, src=0)
    if outcome[0] is None:
        raise Cancelled
    return outcome[0]


def wait_for_all() -> None:
    """Returns once all processes are here."""
    if distributed.is_initialized():
        distributed.barrier()
