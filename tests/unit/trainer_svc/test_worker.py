"""The edge of the child process: every way a run may end has its exit status."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.errors import DataLoss, InvalidInput
from trainer_svc import worker
from trainer_svc.domain.run import (
    EXIT_DISK_FULL,
    EXIT_DONE,
    EXIT_INTERNAL_ERROR,
    EXIT_OUT_OF_MEMORY,
    EXIT_STOPPED,
    EXIT_USER_ERROR,
    Cancelled,
    ProcessFailed,
    RunFolder,
    RunSpec,
)
from trainer_svc.engine.journal import Journal


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """With a spec."""
    folder = RunFolder(tmp_path)
    folder.spec.write_bytes(RunSpec("tenants/a/jobs/b", "/base", "c", "{}", "/cache", "sha256:0").to_json())
    return folder


def _raising(error: Exception) -> worker.Work:
    def work(spec: RunSpec, folder: RunFolder, journal: Journal, is_cancelled: Callable[[], bool]) -> None:
        raise error

    return work


class TestExitStatus:
    """What the service is told."""

    @pytest.mark.parametrize(
        ("error", "status", "reason"),
        [
            (InvalidInput("LOSS_DIVERGED", "nan"), EXIT_USER_ERROR, "LOSS_DIVERGED"),
            (DataLoss("DIGEST_MISMATCH", "rotted"), EXIT_INTERNAL_ERROR, "DIGEST_MISMATCH"),
            (KeyError("/a/path"), EXIT_INTERNAL_ERROR, "INTERNAL"),
            (Cancelled(), EXIT_STOPPED, None),
            (ProcessFailed(137), 137, None),
            (MemoryError(), EXIT_OUT_OF_MEMORY, None),
            (OSError(errno.ENOSPC, "No space left on device"), EXIT_DISK_FULL, None),
        ],
    )
    def test_is_one_for_each_end(self, folder: RunFolder, error: Exception, status: int, reason: str | None) -> None:
        """A file says more where there is more to say, and never what an unexpected error quotes."""
        assert worker.exit_status(_raising(error), folder, lambda: False) == status

        told = json.loads(folder.failure.read_text()) if folder.failure.exists() else {}
        assert told.get("reason") == reason
        assert "/a/path" not in told.get("message", "")

    def test_of_work_that_is_done(self, folder: RunFolder) -> None:
        """0."""
        assert worker.exit_status(lambda *_: None, folder, lambda: False) == EXIT_DONE

    def test_of_a_failure_that_finds_no_room_is_the_full_disk(
        self, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not a crash, which would be tried three times."""

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(worker, "write_atomic", full)

        status = worker.exit_status(_raising(InvalidInput("LOSS_DIVERGED", "nan")), folder, lambda: False)

        assert status == EXIT_DISK_FULL
