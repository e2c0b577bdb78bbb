"""Jobs between protobuf and the domain."""

from __future__ import annotations

import dataclasses
from datetime import UTC

import pytest

from goldsmith.registry.v1 import promotion_pb2
from goldsmith.trainer.v1 import training_job_pb2
from shared.errors import InvalidInput
from shared.names import JobName
from tests.unit.trainer_svc.translate_sample import NOW
from trainer_svc.domain.job import CheckpointScore, Event, Failure, Job, JobSpec, JobState, Priority, Progress
from trainer_svc.domain.promotion import check
from trainer_svc.domain.promotion_policy import PromotionPolicy, Threshold
from trainer_svc.domain.run import (
    Initialization,
    Phase,
    Preset,
    TrainingMode,
)
from trainer_svc.domain.run_result import Evaluation
from trainer_svc.translate import job

JOB = Job("tenants/a/jobs/j", "tenants/a/datasets/d", "tenants/a/adapters/x", "live", JobSpec(), NOW)
QUEUED = dataclasses.replace(JOB, state=JobState.QUEUED)


class TestJob:
    """Training jobs."""

    def test_what_a_caller_leaves_open_stays_open(self) -> None:
        """Absent is not zero: the plan chooses; mode, alias and seed have documented defaults."""
        message = training_job_pb2.TrainingJob(dataset=JOB.dataset, adapter=JOB.adapter)

        assert job.new_job(JobName("a", "j"), message, NOW) == JOB

    def test_names_the_canary_whose_trial_it_ended(self) -> None:
        """In listings and in its history."""
        ended = dataclasses.replace(JOB, ended_canary="tenants/a/adapters/x/revisions/2")

        assert job.job(ended).ended_canary == ended.ended_canary
        assert job.event(Event(7, NOW, changed=ended)).changed.ended_canary == ended.ended_canary

    def test_says_what_its_promotion_came_to(self) -> None:
        """Each check with its figures; nothing before there was one."""
        report = check(PromotionPolicy(thresholds=(Threshold("exact_match", 0.5),)), None, "tenants/a/revisions/1")

        told = job.job(dataclasses.replace(JOB, promotion=report)).promotion

        assert (told.passed, told.mode, told.live_revision) == (
            False,
            promotion_pb2.PROMOTION_MODE_LIVE,
            report.live_revision,
        )
        assert [each.description for each in told.checks] == [each.description for each in report.checks]
        assert told.checks[-1] == promotion_pb2.PromotionCheck(
            name="threshold.exact_match", outcome=promotion_pb2.CHECK_OUTCOME_NOT_MEASURED,
            description="exact_match is not known", reason="NOT_EVALUATED",
        )  # fmt: skip
        assert not job.job(JOB).HasField("promotion")

    @pytest.mark.parametrize("mode", list(TrainingMode))
    def test_a_spec_comes_back_as_it_was_sent(self, mode: TrainingMode) -> None:
        """Presence included: a zero that was sent is kept, for the service to refuse."""
        sent = JobSpec(
            mode=mode,
            rank=0,
            alpha=0.5,
            learning_rate=0.0,
            epoch_count=2,
            batch_size=3,
            seed=2**31,
            use_rslora=True,
            loraplus_ratio=16.0,
            initialization=Initialization.EVA,
            preset=Preset.BEST,
            early_stopping_patience=0,
        )
        stored = Job(JOB.name, JOB.dataset, JOB.adapter, "-", sent, NOW)

        assert job.new_job(JobName("a", "j"), job.job(stored), NOW) == stored

    @pytest.mark.parametrize("priority", list(Priority))
    @pytest.mark.parametrize("limit", [None, 0.0, -1.0, 0.25, 5400.0])
    def test_priority_and_limit_come_back_as_they_were_sent(self, priority: Priority, limit: float | None) -> None:
        """A limit that no job may have is kept, for the service to refuse; none is none."""
        stored = dataclasses.replace(JOB, priority=priority, run_time_limit_seconds=limit)

        assert job.new_job(JobName("a", "j"), job.job(stored), NOW) == stored

    @pytest.mark.parametrize(
        ("message", "path"),
        [
            (training_job_pb2.TrainingJob(priority=77), "job.priority"),  # type: ignore[arg-type]  # of a later release
            (training_job_pb2.TrainingJob(spec={"mode": 77}), "job.spec.mode"),  # type: ignore[arg-type]  # as above
            (training_job_pb2.TrainingJob(spec={"initialization": 77}), "job.spec.initialization"),  # type: ignore[arg-type]  # as above
            (training_job_pb2.TrainingJob(spec={"preset": 77}), "job.spec.preset"),  # type: ignore[arg-type]  # as above
        ],
    )
    def test_an_unknown_number_is_refused(self, message: training_job_pb2.TrainingJob, path: str) -> None:
        """What a newer client means by it is not known, and no default stands in for it."""
        with pytest.raises(InvalidInput, match="77") as caught:
            job.new_job(JobName("a", "j"), message, NOW)

        assert caught.value.violations[0].path == path

    def test_a_base_revision_comes_back_as_it_was_sent(self) -> None:
        """By name."""
        stored = dataclasses.replace(JOB, base_revision="tenants/a/adapters/x/revisions/2")

        assert job.new_job(JobName("a", "j"), job.job(stored), NOW) == stored

    def test_no_preset_is_balanced(self) -> None:
        """The default."""
        message = training_job_pb2.TrainingSpec()

        assert job.job_spec(message) == JobSpec(preset=Preset.BALANCED)

    def test_a_validation_that_was_not_made_is_absent(self) -> None:
        """A score of zero is one."""
        without, zero = (
            job.event(Event(1, NOW, progress=progress)).progress
            for progress in (Progress(5, 9, 0.5, 1.0), Progress(5, 9, 0.5, 1.0, validation_score=0.0, best_step=5))
        )

        assert not without.HasField("validation_score")
        assert not without.HasField("best_step")
        assert (zero.HasField("validation_score"), zero.validation_score, zero.best_step) == (True, 0.0, 5)

    def test_no_priority_is_normal(self) -> None:
        """The default."""
        message = job.job(JOB)
        message.priority = training_job_pb2.TRAINING_PRIORITY_UNSPECIFIED

        assert job.new_job(JobName("a", "j"), message, NOW).priority is Priority.NORMAL

    def test_tells_the_time_that_workers_took(self) -> None:
        """As a duration."""
        assert job.job(dataclasses.replace(JOB, run_seconds=90.5)).run_time.ToMilliseconds() == 90_500

    def test_output_only_fields_of_a_request_are_ignored(self) -> None:
        """A caller cannot create a job that has succeeded."""
        message = job.job(QUEUED.move(JobState.RUNNING, NOW).move(JobState.SUCCEEDED, NOW, revision="x"))

        assert job.new_job(JobName("a", "j"), message, NOW) == JOB

    def test_a_final_job_tells_everything(self) -> None:
        """Numbers, times and the failure; an execution match that was not measured is absent, not zero."""
        evaluation = Evaluation(9, 0.5, 0.75, None, 1000.0, 20.5, 0.25)
        running = QUEUED.move(JobState.RUNNING, NOW, attempt=2, start_time=NOW, phase=Phase.EVALUATING)
        failure = Failure("LOSS_DIVERGED", "nan", user_error=True)
        done = running.move(
            JobState.FAILED, NOW, failure=failure, evaluation=evaluation, progress=Progress(5, 10, 0.5, 1.5, 1 << 30)
        )

        before, after = job.job(running), job.job(done)

        assert before.phase == training_job_pb2.TRAINING_PHASE_EVALUATING
        assert not before.HasField("end_time")
        assert after.phase == training_job_pb2.TRAINING_PHASE_UNSPECIFIED
        assert after.end_time.ToDatetime(UTC) == after.start_time.ToDatetime(UTC) == NOW
        assert (after.failure.reason, after.failure.message, after.failure.user_error) == ("LOSS_DIVERGED", "nan", True)
        assert (after.progress.step, after.progress.step_count, after.progress.epoch) == (5, 10, 1.5)
        assert after.progress.peak_memory_bytes == 1 << 30
        assert not after.evaluation.HasField("execution_match")
        assert (after.evaluation.holdout_count, after.evaluation.holdout_loss) == (9, 0.25)

    @pytest.mark.parametrize(
        ("entry", "kind"),
        [
            (Event(3, NOW), None),
            (Event(3, NOW, changed=JOB), "changed"),
            (Event(3, NOW, progress=Progress()), "progress"),
            (Event(3, NOW, evaluated=CheckpointScore(4, 9, 0.5, 0.25, 1.5)), "evaluated"),
            (Event(3, NOW, checkpoint_step=0), "checkpoint"),
        ],
    )
    def test_an_event_is_one_thing(self, entry: Event, kind: str | None) -> None:
        """A heartbeat is nothing but its place in the history."""
        message = job.event(entry)

        assert message.WhichOneof("event") == kind
        assert (message.sequence, message.event_time.ToDatetime(UTC)) == (3, NOW)
