"""The runner with real child processes, whose behaviour a few lines of shell decide."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from shared.adapter.package import WEIGHTS_NAME
from shared.names import DatasetName
from tests.unit.trainer_svc.conftest import FINISH, NAME, Stage
from tests.unit.trainer_svc.finished_run import ZERO
from trainer_svc.app.publisher import Publisher
from trainer_svc.domain.dataset import Dataset
from trainer_svc.domain.job import JobState
from trainer_svc.domain.run import RunSpec
from trainer_svc.domain.teacher import Labelling, TeacherKind, TeacherSettings
from trainer_svc.store import catalog, history

CHECKPOINT = """printf '{"type":"checkpoint","step":5}\\n' >> "$3/events.jsonl"\n"""
DIE = "kill -9 $$\n"
DIE_ONCE = 'if [ ! -e "$3/died" ]; then touch "$3/died"; kill -9 $$; fi\n'


class TestAttempts:
    """What becomes of a job when its child ends."""

    def test_a_finished_run_is_published(self, stage: Stage) -> None:
        """Exit 0: revision and end of the job are there, and the child was given its rows."""
        stage.act('[ -s "$3/train.jsonl" ] && [ -s "$3/run.json" ] || exit 4\n' + FINISH)

        job = stage.serve()

        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
        assert [job.revision] == stage.revisions()

    @pytest.mark.parametrize(
        ("processes", "operator", "visible"),
        [(1, None, "0"), (2, None, "0,1"), (1, "3,5,7", "3"), (2, "3,5,7", "3,5"), (2, "", "")],
    )
    def test_a_child_sees_a_gpu_for_each_process(
        self, stage: Stage, processes: int, operator: str | None, visible: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In the operator's order; the run's spec says how many processes there are to be."""
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if operator is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", operator)
        stage.processes = processes
        stage.act('printf %s "$CUDA_VISIBLE_DEVICES" > "$3/gpus"\n' + FINISH)

        stage.serve()

        (gpus,) = stage.folder.glob("runs/*/gpus")
        assert gpus.read_text() == visible
        assert json.loads((gpus.parent / "run.json").read_text())["processes"] == processes

    def test_a_teacher_s_answers_are_part_of_the_dataset_s_digest(self, stage: Stage) -> None:
        """The manifest names what was trained on, of which the uploaded bytes are a part only."""
        labelling = Labelling(TeacherSettings("large"), TeacherKind.OPENAI, ("m",), ZERO, ZERO, 7)
        name = DatasetName("acme", "d")

        def label(connection: Any) -> Dataset:  # Any: a connection
            labelled = dataclasses.replace(catalog.get_dataset(connection, name), labelling=labelling)
            catalog.save_dataset(connection, labelled)
            return labelled

        labelled = asyncio.run(stage.database.run(label))
        stage.act(FINISH)

        stage.serve()

        (spec,) = (stage.folder / "runs").rglob("run.json")
        assert json.loads(spec.read_bytes())["dataset_digest"] == labelled.content_digest != labelled.digest

    def test_a_child_is_told_what_chose_its_holdout(self, stage: Stage) -> None:
        """The manifest names the seed."""
        name = DatasetName("acme", "d")

        def reseed(connection: Any) -> None:  # Any: as above
            catalog.save_dataset(connection, dataclasses.replace(catalog.get_dataset(connection, name), split_seed=7))

        asyncio.run(stage.database.run(reseed))
        stage.act(FINISH)

        stage.serve()

        (spec,) = (stage.folder / "runs").rglob("run.json")
        assert RunSpec.from_json(spec.read_bytes()).split_seed == 7

    def test_a_killed_child_is_started_again(self, stage: Stage) -> None:
        """Death by a signal is nobody's failure: the same folder is taken up by the next attempt."""
        stage.act(DIE_ONCE + FINISH)

        job = stage.serve()

        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
        assert len(stage.revisions()) == 1

    def test_deaths_without_progress_end_the_job(self, stage: Stage) -> None:
        """Three in a row are no chance; the failure is not called the tenant's."""
        stage.act(DIE)

        job = stage.serve()

        assert (job.state, job.attempt) == (JobState.FAILED, 3)
        assert job.failure is not None
        assert (job.failure.reason, job.failure.user_error) == ("WORKER_KILLED", False)

    def test_deaths_with_progress_do_not(self, stage: Stage) -> None:
        """A job that reaches a checkpoint each time goes on for as long as it takes."""
        four_deaths = 'echo x >> "$3/deaths"; if [ $(wc -l < "$3/deaths") -le 4 ]; then kill -9 $$; fi\n'
        stage.act(CHECKPOINT + four_deaths + FINISH)

        job = stage.serve()

        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 5)

    def test_the_child_says_whose_mistake_it_was(self, stage: Stage) -> None:
        """Reason, text and blame of failure.json become the job's."""
        body = '{"reason":"CONTEXT_TOO_LONG","message":"rows[3]","user_error":true}'
        stage.act(f"printf '{body}' > \"$3/failure.json\"; exit 3\n")

        job = stage.serve()

        assert job.state is JobState.FAILED
        assert job.failure is not None
        assert (job.failure.reason, job.failure.message, job.failure.user_error) == (
            "CONTEXT_TOO_LONG",
            "rows[3]",
            True,
        )

    def test_a_damaged_package_is_never_published(self, stage: Stage) -> None:
        """Bytes that differ from the manifest fail the job, and no revision appears."""
        stage.act(FINISH + f'echo rot >> "$3/package/{WEIGHTS_NAME}"\n')

        job = stage.serve()

        assert job.state is JobState.FAILED
        assert job.failure is not None
        assert (job.failure.reason, job.failure.user_error) == ("DIGEST_MISMATCH", False)
        assert stage.revisions() == []


class TestCancel:
    """Jobs that are asked to stop while their child runs."""

    def test_the_child_is_told_and_ends(self, stage: Stage) -> None:
        """SIGTERM and the stop file reach it; its own exit status makes the job cancelled."""
        wait_for_term = 'trap \'[ -e "$3/stop" ] && touch "$3/told"; exit 5\' TERM\n' + CHECKPOINT
        stage.act(wait_for_term + "while :; do sleep 0.05; done\n")

        async def cancel() -> None:
            await stage.checkpoint()
            assert (await stage.jobs.cancel(NAME)).state is JobState.CANCELLING
            await stage.final()

        job = stage.serve(cancel)

        assert job.state is JobState.CANCELLED
        assert list(stage.folder.glob("runs/*/told"))
        assert stage.revisions() == []


class TestRestart:
    """The service's own death."""

    def test_a_stopped_service_kills_its_child_and_goes_on_later(self, stage: Stage) -> None:
        """The job stays running in the store, so that the next start queues it again."""
        stage.act('echo $$ > "$3/pid"\n' + CHECKPOINT + "exec sleep 600\n")
        job = stage.serve(stage.checkpoint)
        assert job.state is JobState.RUNNING
        child = int(next(stage.folder.glob("runs/*/pid")).read_text())
        assert not Path(f"/proc/{child}").exists()
        stage.act(FINISH)

        job = stage.serve()

        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)

    def test_a_death_between_result_and_publication_publishes_once(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The run is done, its transaction is not: the next life publishes it, and the life after that nothing."""
        stage.act(FINISH)
        reached = asyncio.Event()

        async def never(self: Publisher, job: str, folder: object) -> None:
            reached.set()
            await asyncio.Event().wait()

        with monkeypatch.context() as patch:
            patch.setattr(Publisher, "publish", never)
            assert stage.serve(reached.wait).state is JobState.RUNNING
        assert stage.revisions() == []

        assert stage.serve().state is JobState.SUCCEEDED
        assert stage.serve().state is JobState.SUCCEEDED
        assert stage.revisions() == ["tenants/acme/adapters/a/revisions/1"]

    def test_what_was_being_cancelled_is_cancelled(self, stage: Stage) -> None:
        """Nobody waits for a child that died with its service."""
        stage.act("exit 4\n")

        def work(connection: Any) -> None:
            job = history.get_job(connection, NAME)
            running = dataclasses.replace(job, state=JobState.RUNNING)
            history.save_job(connection, running.move(JobState.CANCELLING, stage.clock.now()))

        asyncio.run(stage.database.run(work))

        assert stage.serve().state is JobState.CANCELLED

    def test_is_told_to_watchers_at_once(self, stage: Stage) -> None:
        """The bell rings with what became of the job, and only where something did."""
        runner, mark = stage.runner(), stage.changes.mark()
        asyncio.run(runner.recover())
        assert not mark.is_set()
        stopping = dataclasses.replace(asyncio.run(stage.jobs.get(NAME)), state=JobState.CANCELLING)
        asyncio.run(stage.database.run(lambda connection: history.save_job(connection, stopping)))

        asyncio.run(runner.recover())

        assert mark.is_set()
