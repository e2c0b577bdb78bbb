"""Calibrations on demand: one at a time, on an idle machine, and whatever becomes of the child or the caller."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
from collections.abc import Awaitable
from datetime import timedelta

import pytest

from shared.errors import DomainError, Exhausted, InternalFault, InvalidInput, StateConflict, Unavailable
from tests.unit.trainer_svc.conftest import NAME, Stage
from tests.unit.trainer_svc.laboratory import COUNT, HANG, Laboratory, Result
from trainer_svc.app.calibrator import KEPT_HOURS, MAX_SECONDS, Calibrator
from trainer_svc.app.runner import Runner
from trainer_svc.domain.estimate import Usage
from trainer_svc.domain.job import JobState
from trainer_svc.domain.run import TrainingMode
from trainer_svc.store import calibration, history


@pytest.fixture
def laboratory(stage: Stage) -> Laboratory:
    """With a child that tells its usage."""
    own = Laboratory(stage)
    own.act(own.tell)
    return own


async def _both(first: Awaitable[Result], second: Awaitable[Result]) -> list[Result]:
    return await asyncio.gather(first, second)


class TestMeasure:
    """A calibration that is made."""

    def test_is_what_the_child_tells(self, laboratory: Laboratory) -> None:
        """It is kept, with what it was made for, and the folder is removed."""
        made = laboratory.live(lambda calibrator, _: laboratory.measure(calibrator))

        assert dataclasses.replace(made, calibration=None) == laboratory.told
        kept = lambda c: calibration.list_usages(c, laboratory.stage.base.digest, TrainingMode.LORA, 1)  # noqa: E731
        assert asyncio.run(laboratory.stage.database.run(kept)) == [made]
        assert laboratory.is_clean

    def test_is_made_once_a_day(self, laboratory: Laboratory) -> None:
        """The stored one is used until then; another batch size is another calibration."""

        async def life(calibrator: Calibrator, _: Runner) -> list[int]:
            counts = []
            for batch_size, hours in ((8, 0.0), (8, KEPT_HOURS), (8, 0.1), (9, 0.0)):
                laboratory.stage.clock.advance(timedelta(hours=hours).total_seconds())
                await laboratory.measure(calibrator, batch_size)
                counts.append(laboratory.children)
            return counts

        assert laboratory.live(life) == [1, 1, 2, 3]

    def test_of_a_job_that_stops_early_is_another(self, laboratory: Laboratory) -> None:
        """However patient: it holds a second base when it validates."""

        async def life(_: Calibrator, __: Runner) -> list[str]:
            plain = await laboratory.wanted()
            plans = [dataclasses.replace(plain.plan, early_stopping_patience=patience) for patience in (0, 3, 4)]
            return [dataclasses.replace(plain, plan=plan).key for plan in plans]

        plain, three, four = laboratory.live(life)

        assert plain != three == four

    def test_is_kept_as_its_tenants(self, laboratory: Laboratory) -> None:
        """Who asks for many drives out none of another's."""
        made = laboratory.live(lambda calibrator, _: laboratory.measure(calibrator))

        assert made.calibration is not None
        assert made.calibration.tenant == "acme"

    def test_two_calls_at_once_share_one(self, laboratory: Laboratory) -> None:
        """Both are answered from the same child."""

        async def life(calibrator: Calibrator, _: Runner) -> list[Usage]:
            return await _both(laboratory.measure(calibrator), laboratory.measure(calibrator))

        first, second = laboratory.live(life)

        assert first == second
        assert laboratory.children == 1

    def test_goes_on_when_the_caller_hangs_up(self, laboratory: Laboratory) -> None:
        """The next call is answered from it."""
        laboratory.act(f'{COUNT}while [ ! -e "$(dirname "$3")/go" ]; do sleep 0.02; done; {laboratory.tell}')

        async def life(calibrator: Calibrator, _: Runner) -> Usage:
            caller = asyncio.create_task(laboratory.measure(calibrator))
            await laboratory.child()
            caller.cancel()
            await asyncio.gather(caller, return_exceptions=True)
            assert caller.cancelled()
            (laboratory.stage.folder / "go").touch()
            return await laboratory.measure(calibrator)

        assert laboratory.live(life).calibration is not None
        assert laboratory.children == 2, "one child, which counts itself twice"


class TestRefusal:
    """A machine that is not idle."""

    def test_while_a_job_waits(self, laboratory: Laboratory) -> None:
        """Jobs come first: a measurement beside them would measure them. What is stored is told all the same."""

        async def life(calibrator: Calibrator, _: Runner) -> None:
            stored = await laboratory.measure(calibrator, 8)
            job = await laboratory.stage.jobs.get(NAME)
            queued = dataclasses.replace(job, state=JobState.QUEUED)
            await laboratory.stage.database.run(lambda c: history.save_job(c, queued))
            with pytest.raises(Exhausted, match="1 training jobs run or wait") as caught:
                await laboratory.measure(calibrator, 9)
            assert caught.value.retry_after_seconds is not None
            assert await laboratory.measure(calibrator, 8) == stored

        laboratory.live(life)

        assert laboratory.children == 1

    def test_while_another_is_measured(self, laboratory: Laboratory) -> None:
        """It does not wait for a place either: the caller decides."""
        laboratory.act(HANG)

        async def life(calibrator: Calibrator, _: Runner) -> None:
            first = asyncio.create_task(laboratory.measure(calibrator, 8))
            await laboratory.child()
            with pytest.raises(Exhausted, match="another calibration"):
                await laboratory.measure(calibrator, 9)
            await calibrator.stop()
            with pytest.raises(Unavailable):
                await first

        laboratory.live(life)

        assert laboratory.is_clean

    def test_a_job_begins_after_the_measurement(self, laboratory: Laboratory) -> None:
        """It is validated meanwhile and trained as soon as the machine is free again."""
        laboratory.act(f'{COUNT}while [ ! -e "$(dirname "$3")/go" ]; do sleep 0.02; done; {laboratory.tell}')

        async def life(calibrator: Calibrator, runner: Runner) -> list[JobState]:
            call = asyncio.create_task(laboratory.measure(calibrator))
            await laboratory.child()
            job = dataclasses.replace(await laboratory.stage.jobs.get(NAME), state=JobState.PENDING)
            await laboratory.stage.database.run(lambda c: history.save_job(c, job))
            running = asyncio.create_task(runner.run())
            states = []
            async for event in laboratory.stage.jobs.watch(NAME, 0):
                if event.changed is not None:
                    states.append(event.changed.state)
                    if event.changed.state is JobState.QUEUED:
                        assert not call.done()
                        (laboratory.stage.folder / "go").touch()
            await call
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await runner.stop()
            return states

        assert laboratory.live(life)[-2:] == [JobState.RUNNING, JobState.SUCCEEDED]


class TestFailure:
    """A calibration that comes to nothing is told as such, kept nowhere, and leaves nothing behind."""

    @pytest.mark.parametrize(
        ("script", "kind", "words"),
        [
            ('printf \'{"reason":"CONTEXT_TOO_LONG","message":"rows[3]"}\' > "$3/failure.json"; exit 3', InvalidInput,
             "rows.3."),
            ("kill -9 $$", StateConflict, "killed"),
            ("exit 7", StateConflict, "ran out of memory"),
            ("exit 6", StateConflict, "disk is full"),
            ("exit 4", InternalFault, "failed"),
        ],
    )  # fmt: skip
    def test_says_why(self, laboratory: Laboratory, script: str, kind: type[DomainError], words: str) -> None:
        """The tenant's mistake, a lack of memory or disk, or a bug of ours."""
        laboratory.act(script)

        with pytest.raises(kind, match=words):
            laboratory.live(lambda calibrator, _: laboratory.measure(calibrator))

        assert laboratory.is_clean
        laboratory.act(laboratory.tell)
        assert laboratory.live(lambda calibrator, _: laboratory.measure(calibrator)).calibration is not None

    def test_a_full_disk_is_told_before_the_child_starts(
        self, laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The rows do not fit; the machine is free again."""

        def full(*_: object) -> bytes:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("trainer_svc.app.run_files.write_atomic", full)
            with pytest.raises(StateConflict, match="disk is full"):
                laboratory.live(lambda calibrator, _: laboratory.measure(calibrator))

        assert laboratory.children == 0
        assert laboratory.live(lambda calibrator, _: laboratory.measure(calibrator)).calibration is not None

    def test_ends_after_its_time(self, laboratory: Laboratory) -> None:
        """A child that hangs is stopped, and the machine is free again."""
        laboratory.act(HANG)

        async def life(calibrator: Calibrator, _: Runner) -> None:
            call = asyncio.create_task(laboratory.measure(calibrator))
            await laboratory.child()
            laboratory.stage.clock.advance(MAX_SECONDS)
            with pytest.raises(StateConflict, match="more than 600 s") as caught:
                await call
            assert caught.value.reason == "NOT_MEASURED"
            laboratory.act(laboratory.tell)
            await laboratory.measure(calibrator)

        laboratory.live(life)

        assert laboratory.is_clean

    def test_the_death_of_the_service_leaves_nothing(self, laboratory: Laboratory) -> None:
        """Its folder is removed at the next start."""
        left = laboratory.stage.folder / "calibration" / "checkpoints"
        left.mkdir(parents=True)

        async def life(calibrator: Calibrator, _: Runner) -> bool:
            return laboratory.is_clean

        assert laboratory.live(life)
