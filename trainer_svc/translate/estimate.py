"""Estimates of training jobs."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from google.protobuf import duration_pb2

from goldsmith.trainer.v1 import training_estimate_pb2 as pb
from trainer_svc.domain.estimate import Estimate, Price
from trainer_svc.domain.job import JobSpec
from trainer_svc.domain.plan import TrainingPlan
from trainer_svc.translate.job import spec_message


def estimate(found: Estimate, plan: TrainingPlan, spec: JobSpec, price: Price) -> pb.TrainingEstimate:
    """What a job would take and cost."""
    costs = [_cost(found, seconds, price) for seconds in (found.low_seconds, found.seconds, found.high_seconds)]
    complete = dataclasses.replace(
        spec,
        rank=plan.rank,
        alpha=plan.alpha,
        learning_rate=plan.learning_rate,
        epoch_count=plan.epoch_count,
        batch_size=plan.batch_size,
        loraplus_ratio=plan.loraplus_ratio,
        early_stopping_patience=plan.early_stopping_patience,
        evaluated_checkpoint_count=plan.evaluated_checkpoint_count,
    )
    return pb.TrainingEstimate(
        spec=spec_message(complete),
        epoch_token_count=found.work.epoch_tokens,
        token_count=found.work.tokens,
        step_count=found.work.step_count,
        low=costs[0],
        expected=costs[1],
        high=costs[2],
        peak_memory_bytes=found.peak_bytes,
        run_count=found.run_count,
        same_rank=found.is_same_rank,
        past_error_ratio=found.past_error_ratio,
        calibrated=found.is_calibrated,
        available_memory_bytes=found.available_bytes,
        fits=found.fits,
    )


def _cost(found: Estimate, seconds: float, price: Price) -> pb.EstimatedCost:
    duration = duration_pb2.Duration()
    duration.FromTimedelta(timedelta(seconds=seconds))
    hours = found.hours(seconds)
    return pb.EstimatedCost(
        duration=duration,
        energy_kwh=hours * price.watts / 1000 if price.watts else None,
        price=hours * price.per_hour if price.per_hour else None,
        currency=price.currency if price.per_hour else "",
    )
