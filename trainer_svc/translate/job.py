"""Training jobs and their events."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from goldsmith.trainer.v1 import training_job_pb2 as pb
from shared.names import JobName, invalid_field
from trainer_svc.domain.job import Event, Failure, Job, JobSpec, JobState, Priority, Progress
from trainer_svc.domain.registry import DEFAULT_ALIAS
from trainer_svc.domain.run import (
    Initialization,
    Phase,
    Preset,
    TrainingMode,
)
from trainer_svc.domain.run_result import Evaluation
from trainer_svc.translate.promotion import report_message
from trainer_svc.translate.time import duration, seconds, timestamp

STATES = {state: pb.TrainingJobState.Value(f"TRAINING_JOB_STATE_{state.name}") for state in JobState}
_PHASES = {phase: pb.TrainingPhase.Value(f"TRAINING_PHASE_{phase.name}") for phase in Phase}
_PRIORITIES = {priority: pb.TrainingPriority.Value(f"TRAINING_PRIORITY_{priority.name}") for priority in Priority}
_MODES = {mode: pb.TrainingMode.Value(f"TRAINING_MODE_{mode.name}") for mode in TrainingMode}
_INITIALIZATIONS = {
    start: pb.AdapterInitialization.Value(f"ADAPTER_INITIALIZATION_{start.name}") for start in Initialization
}
_INITIALIZATION_OF = {0: Initialization.KAIMING} | {number: start for start, number in _INITIALIZATIONS.items()}
_PRIORITY_OF = {0: Priority.NORMAL} | {number: priority for priority, number in _PRIORITIES.items()}
_MODE_OF = {0: TrainingMode.LORA} | {number: mode for mode, number in _MODES.items()}
_PRESETS = {preset: pb.TrainingPreset.Value(f"TRAINING_PRESET_{preset.name}") for preset in Preset}
_PRESET_OF = {0: Preset.BALANCED} | {number: preset for preset, number in _PRESETS.items()}
_Member = TypeVar("_Member")


def new_job(name: JobName, message: pb.TrainingJob, now: datetime) -> Job:
    """What a caller wants to create. Raises `InvalidInput` for an enum's number that this release does not know."""
    return Job(
        name=str(name),
        dataset=message.dataset,
        adapter=message.adapter,
        alias_id=message.alias_id or DEFAULT_ALIAS,
        spec=job_spec(message.spec),
        create_time=now,
        base_revision=message.base_revision,
        priority=_member(_PRIORITY_OF, message.priority, "job.priority"),
        run_time_limit_seconds=seconds(message.run_time_limit) if message.HasField("run_time_limit") else None,
    )


def job_spec(spec: pb.TrainingSpec) -> JobSpec:
    """Settings that a caller wants; absent ones stay open. Raises `InvalidInput` as `new_job`."""
    return JobSpec(
        mode=_member(_MODE_OF, spec.mode, "job.spec.mode"),
        rank=spec.rank if spec.HasField("rank") else None,
        alpha=spec.alpha if spec.HasField("alpha") else None,
        learning_rate=spec.learning_rate if spec.HasField("learning_rate") else None,
        epoch_count=spec.epoch_count if spec.HasField("epoch_count") else None,
        batch_size=spec.batch_size if spec.HasField("batch_size") else None,
        seed=spec.seed if spec.HasField("seed") else 0,
        use_rslora=spec.use_rslora,
        loraplus_ratio=spec.loraplus_ratio if spec.HasField("loraplus_ratio") else None,
        initialization=_member(_INITIALIZATION_OF, spec.initialization, "job.spec.initialization"),
        preset=_member(_PRESET_OF, spec.preset, "job.spec.preset"),
        early_stopping_patience=spec.early_stopping_patience if spec.HasField("early_stopping_patience") else None,
        evaluated_checkpoint_count=(
            spec.evaluated_checkpoint_count if spec.HasField("evaluated_checkpoint_count") else None
        ),
    )


def _member(members: Mapping[int, _Member], number: int, path: str) -> _Member:
    if number not in members:
        raise invalid_field(path, f"{number} is unknown here, the greatest that is known is {max(members)}")
    return members[number]


def job(stored: Job) -> pb.TrainingJob:
    """A job as it stands."""
    return pb.TrainingJob(
        name=stored.name,
        dataset=stored.dataset,
        adapter=stored.adapter,
        spec=spec_message(stored.spec),
        alias_id=stored.alias_id,
        state=STATES[stored.state],
        phase=_PHASES[stored.phase] if stored.phase else pb.TRAINING_PHASE_UNSPECIFIED,
        attempt=stored.attempt,
        progress=_progress(stored.progress),
        evaluation=_evaluation(stored.evaluation) if stored.evaluation else None,
        revision=stored.revision,
        ended_canary=stored.ended_canary,
        failure=_failure(stored.failure) if stored.failure else None,
        create_time=timestamp(stored.create_time),
        start_time=timestamp(stored.start_time),
        end_time=timestamp(stored.end_time),
        priority=_PRIORITIES[stored.priority],
        run_time_limit=duration(stored.run_time_limit_seconds),
        base_revision=stored.base_revision,
        run_time=duration(stored.run_seconds),
        promotion=report_message(stored.promotion) if stored.promotion else None,
    )


def event(entry: Event) -> pb.TrainingEvent:
    """One entry of a job's history; a heartbeat has only its sequence and time."""
    message = pb.TrainingEvent(sequence=entry.sequence, event_time=timestamp(entry.time))
    if entry.changed is not None:
        message.changed.CopyFrom(job(entry.changed))
    elif entry.progress is not None:
        message.progress.CopyFrom(_progress(entry.progress))
    elif entry.checkpoint_step is not None:
        message.checkpoint.step = entry.checkpoint_step
    elif entry.evaluated is not None:
        message.evaluated.CopyFrom(pb.CheckpointScore(**dataclasses.asdict(entry.evaluated)))
    return message


def spec_message(spec: JobSpec) -> pb.TrainingSpec:
    """Settings; what is open is absent."""
    return pb.TrainingSpec(
        mode=_MODES[spec.mode],
        rank=spec.rank,
        alpha=spec.alpha,
        learning_rate=spec.learning_rate,
        epoch_count=spec.epoch_count,
        batch_size=spec.batch_size,
        seed=spec.seed,
        use_rslora=spec.use_rslora,
        loraplus_ratio=spec.loraplus_ratio,
        initialization=_INITIALIZATIONS[spec.initialization],
        preset=_PRESETS[spec.preset],
        early_stopping_patience=spec.early_stopping_patience,
        evaluated_checkpoint_count=spec.evaluated_checkpoint_count,
    )


def _progress(progress: Progress) -> pb.TrainingProgress:
    return pb.TrainingProgress(
        step=progress.step,
        step_count=progress.step_count,
        train_loss=progress.train_loss,
        epoch=progress.epoch,
        peak_memory_bytes=progress.peak_memory_bytes,
        validation_score=progress.validation_score,
        best_step=progress.best_step,
    )


def _evaluation(evaluation: Evaluation) -> pb.Evaluation:
    return pb.Evaluation(
        holdout_count=evaluation.holdout_count,
        exact_match=evaluation.exact_match,
        field_f1=evaluation.field_f1,
        execution_match=evaluation.execution_match,
        instruction_prompt_tokens=evaluation.instruction_prompt_tokens,
        adapter_prompt_tokens=evaluation.adapter_prompt_tokens,
        holdout_loss=evaluation.holdout_loss,
    )


def _failure(failure: Failure) -> pb.Failure:
    return pb.Failure(reason=failure.reason, message=failure.message, user_error=failure.user_error)
