"""A job that several processes train together, as on several GPUs: here two, on the CPU."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from shared.adapter.package import WEIGHTS_NAME, read_package
from shared.base_model import BaseModel
from shared.digest import sha256_file
from tests.e2e.training_sample import (
    events_of,
    finish,
    rows,
    run_here,
    start,
    wait_for_checkpoints,
    write_run,
)
from trainer_svc.domain.run import (
    EXIT_DISK_FULL,
    EXIT_INTERNAL_ERROR,
    EXIT_OUT_OF_MEMORY,
    EXIT_STOPPED,
    EXIT_USER_ERROR,
    SHARE_FLAG,
    VALIDATE_FLAG,
    Cancelled,
    ProcessFailed,
    RunFolder,
)
from trainer_svc.engine.base import compute_dtype
from trainer_svc.engine.checkpoint import last_whole
from trainer_svc.engine.process_group import cause_of

_SETTINGS: dict[str, Any] = {"epoch_count": 2, "early_stopping_patience": 10, "train": rows(157)}
"""With validations on the way, which one process makes and all go by; 141 rows to learn do not fill their batches."""
pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory, base: BaseModel) -> RunFolder:
    """A run of two processes that nothing interrupted."""
    folder = write_run(tmp_path_factory.mktemp("runs") / "together", base, processes=2, **_SETTINGS)
    finish(folder)
    return folder


def _shares(folder: RunFolder) -> list[int]:
    """Processes that train together in a run's folder."""
    found = subprocess.run(["pgrep", "-f", f"{folder.path} {SHARE_FLAG}"], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


def _heard_outside(process: subprocess.Popen[bytes]) -> list[str]:
    """Addresses on which a run's processes listen for other machines."""
    family = [parent := psutil.Process(process.pid), *parent.children(recursive=True)]
    listened = [each.laddr.ip for one in family for each in one.net_connections("inet") if each.status == "LISTEN"]
    return [address for address in listened if address not in ("127.0.0.1", "::1", "::ffff:127.0.0.1")]


def _last_checkpoint(folder: RunFolder) -> Path:
    found = last_whole(folder.checkpoints)
    assert found is not None
    return found


class TestCause:
    """Of the end of a training whose processes ended."""

    @pytest.mark.parametrize(
        ("statuses", "status"),
        [
            ([-signal.SIGKILL, EXIT_INTERNAL_ERROR], 128 + signal.SIGKILL),
            ([-signal.SIGTERM, -signal.SIGKILL], 128 + signal.SIGKILL),
            ([EXIT_DISK_FULL, -signal.SIGTERM], EXIT_DISK_FULL),
            ([-signal.SIGKILL, EXIT_OUT_OF_MEMORY], EXIT_OUT_OF_MEMORY),
            ([-signal.SIGTERM], 128 + signal.SIGTERM),
            ([EXIT_INTERNAL_ERROR, EXIT_DISK_FULL], EXIT_DISK_FULL),
            ([EXIT_USER_ERROR, EXIT_INTERNAL_ERROR], EXIT_USER_ERROR),
            ([EXIT_INTERNAL_ERROR], EXIT_INTERNAL_ERROR),
            ([1], 1),
        ],
    )
    def test_is_what_the_others_died_of(self, statuses: list[int], status: int) -> None:
        """Who loses the connection to one that ended fails for no reason of its own."""
        cause = cause_of(statuses)

        assert isinstance(cause, ProcessFailed)
        assert cause.status == status

    def test_is_the_request_to_stop(self) -> None:
        """Even where one ends before the others have heard of it."""
        assert isinstance(cause_of([EXIT_STOPPED, EXIT_INTERNAL_ERROR]), Cancelled)


class TestProcesses:
    """That share each batch."""

    def test_train_the_adapter_that_one_would(self, base: BaseModel, together: RunFolder, tmp_path: Path) -> None:
        """Sums are added up in another order, nothing else differs; the manifest says how many there were.

        At the last step, and not in what is published: of validations that end even, rounding chooses the best.
        """
        alone = write_run(tmp_path / "alone", base, **_SETTINGS)
        run_here(alone)

        mine, theirs = (load_file(_last_checkpoint(run) / WEIGHTS_NAME) for run in (alone, together))
        assert mine.keys() == theirs.keys()
        for name, weights in mine.items():
            if compute_dtype() is torch.float32:
                torch.testing.assert_close(theirs[name].float(), weights.float(), rtol=0.02, atol=1e-4)
            error = float((theirs[name].float() - weights.float()).norm() / weights.float().norm())
            assert error < 0.03, f"{name} differs by {error}, where bfloat16 gives 0.006"
        told = [
            [(event["step"], event["train_loss"]) for event in events_of(run, "progress")] for run in (alone, together)
        ]
        assert [step for step, _ in told[0]] == [step for step, _ in told[1]]
        assert [loss for _, loss in told[0]] == pytest.approx([loss for _, loss in told[1]], rel=3e-4)
        assert [read_package(run.package).training["processes"] for run in (alone, together)] == [1, 2]

    def test_must_be_able_to_share_a_batch(self, base: BaseModel, tmp_path: Path) -> None:
        """Three of 8 rows cannot be the same for all: refused before anything is trained."""
        folder = write_run(tmp_path / "odd", base, processes=3)

        assert start(folder, VALIDATE_FLAG).wait() == EXIT_USER_ERROR
        assert "job.spec.batch_size" in json.loads(folder.failure.read_text())["message"]

    def test_end_as_the_first_of_them_that_fails(self, base: BaseModel, tmp_path: Path) -> None:
        """The tenant's mistake is told as such, though the others are ended by a signal."""
        folder = write_run(tmp_path / "diverging", base, processes=2, learning_rate=1e30)

        assert start(folder).wait() == EXIT_USER_ERROR, (folder.path / "log").read_text()[-2000:]
        assert json.loads(folder.failure.read_bytes())["reason"] == "LOSS_DIVERGED"
        assert not folder.processes.exists()

    def test_are_stopped_and_killed_as_one_is(self, base: BaseModel, together: RunFolder, tmp_path: Path) -> None:
        """A request to stop, the death of one and the death of who started them: nobody is left, no byte differs."""
        folder = write_run(tmp_path / "unlucky", base, processes=2, **_SETTINGS)
        process = start(folder)
        wait_for_checkpoints(folder, process, 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == EXIT_STOPPED

        process = start(folder)
        wait_for_checkpoints(folder, process, 4)
        os.kill(_shares(folder)[-1], signal.SIGKILL)
        assert process.wait() == 128 + signal.SIGKILL, "a death to try again after, not a failure"

        process = start(folder)
        wait_for_checkpoints(folder, process, 6)
        assert not _heard_outside(process), "whoever reaches the machine must not reach them"
        process.kill()
        process.wait()
        while _shares(folder):
            time.sleep(0.02)

        finish(folder)
        assert sha256_file(folder.package / WEIGHTS_NAME) == sha256_file(together.package / WEIGHTS_NAME)
        assert [event["step"] for event in events_of(folder, "progress")].count(5) == 1, "it started from the beginning"
