"""Faults of the machine: told by their own names, whatever wraps them."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from shared.errors import DataLoss, Exhausted
from shared.storage.local import LocalBlobStore
from tests.unit.trainer_svc.conftest import FINISH, NAME, Stage
from trainer_svc.domain.fault import FAILURES, fault_of
from trainer_svc.domain.job import DISK_FULL, OUT_OF_MEMORY, JobState
from trainer_svc.domain.run import EXIT_DISK_FULL, EXIT_OUT_OF_MEMORY
from trainer_svc.engine.journal import Journal
from trainer_svc.store import history
from trainer_svc.store.database import Database


def _wrapped(cause: Exception, outer: Exception) -> Exception:
    outer.__cause__ = cause
    return outer


class TestFault:
    """What an exception tells of the machine."""

    @pytest.mark.parametrize(
        ("error", "fault"),
        [
            (OSError(errno.ENOSPC, "No space left on device"), DISK_FULL),
            (OSError(errno.EDQUOT, "Disk quota exceeded"), DISK_FULL),
            (Exception("Error while serializing: I/O error: No space left on device (os error 28)"), DISK_FULL),
            (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"), DISK_FULL),
            (_wrapped(OSError(errno.ENOSPC, ""), RuntimeError("saving failed")), DISK_FULL),
            (_wrapped(OSError(errno.ENOSPC, ""), Exhausted("QUOTA_EXCEEDED", "nothing was changed")), DISK_FULL),
            (MemoryError(), OUT_OF_MEMORY),
            (OSError(errno.ENOMEM, "Cannot allocate memory"), OUT_OF_MEMORY),
            (RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. can't allocate memory"), OUT_OF_MEMORY),
            (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), OUT_OF_MEMORY),
            (OSError(errno.EIO, "Input/output error"), None),
            (RuntimeError("shapes differ"), None),
            (DataLoss("DIGEST_MISMATCH", "rotted"), None),
        ],
    )
    def test_is_told_by_its_cause(self, error: Exception, fault: str | None) -> None:
        """Texts are those that safetensors 0.6 and torch 2.13 gave on a full tmpfs and for too large a tensor."""
        assert fault_of(error) == fault

    def test_of_a_chain_that_is_a_circle_ends(self) -> None:
        """Python allows an exception to be its own grandparent."""
        first, second = RuntimeError("a"), RuntimeError("b")
        first.__cause__, second.__cause__ = second, first

        assert fault_of(first) is None

    def test_of_a_journal_on_a_full_disk_is_told(self) -> None:
        """The real error of a real write."""
        with pytest.raises(OSError, match="No space left") as caught, closing(Journal(Path("/dev/full"))) as journal:
            journal.checkpoint(1)

        assert fault_of(caught.value) == DISK_FULL


class TestJob:
    """A job whose worker or service ran into one."""

    @pytest.mark.parametrize(("status", "reason"), [(EXIT_DISK_FULL, DISK_FULL), (EXIT_OUT_OF_MEMORY, OUT_OF_MEMORY)])
    def test_fails_by_the_childs_status_alone(self, stage: Stage, status: int, reason: str) -> None:
        """There may be no byte left for a file; it is nobody's mistake, and the text says what to do."""
        stage.act(f"exit {status}\n")

        job = stage.serve()

        assert (job.state, job.attempt) == (JobState.FAILED, 1)
        assert job.failure == FAILURES[reason]
        assert not FAILURES[reason].user_error

    def test_fails_when_the_service_cannot_write_its_rows(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same reason as in the child; nothing else is harmed."""

        def full(*_: object) -> bytes:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(LocalBlobStore, "read", full)
        stage.act(FINISH)

        assert stage.serve().failure == FAILURES[DISK_FULL]


class TestDatabase:
    """A database that cannot be written for a while."""

    @pytest.fixture
    def fail(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
        """Lets the next saves of jobs fail as on a full disk."""
        left, save = [0], history.save_job

        def flaky(*arguments: object) -> None:
            if left[0]:
                left[0] -= 1
                raise OperationalError("UPDATE jobs", {}, Exception("database or disk is full"))
            save(*arguments)  # type: ignore[arg-type]  # passed on

        monkeypatch.setattr(history, "save_job", flaky)
        return lambda count: left.__setitem__(0, count)

    def test_does_not_end_the_queue(self, stage: Stage, fail: Callable[[int], None]) -> None:
        """The claim fails, the runner lives on and takes the job later."""
        stage.act(FINISH)
        fail(2)

        assert stage.serve().state is JobState.SUCCEEDED

    def test_does_not_lose_a_job_whose_end_it_refused(
        self, stage: Stage, database: Database, fail: Callable[[int], None]
    ) -> None:
        """Neither the end nor the failure could be written: the job is queued again, and its result is published."""
        stage.act('touch "$3/begun"; until [ -e "$3/go" ]; do sleep 0.05; done\n' + FINISH)

        async def refuse() -> None:
            while not (begun := list(stage.folder.glob("runs/*/begun"))):  # noqa: ASYNC110  # the child says no more
                await asyncio.sleep(0.01)
            fail(2)  # the publication, and the failure that follows from it
            (begun[0].parent / "go").touch()
            await stage.final()

        job = stage.serve(refuse)

        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
        assert len(stage.revisions()) == 1
        assert asyncio.run(database.run(lambda c: history.get_job(c, NAME))) == job
