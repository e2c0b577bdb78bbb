"""What a training job will take, told from what runs and calibrations took on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from trainer_svc.domain.pace import Pace, StepSums, fit_pace
from trainer_svc.domain.run import TrainingMode
from trainer_svc.domain.servability import ServabilityMode

_LEAST_SPREAD = 0.2
"""Share by which low and high leave the middle at least: few runs do not know how busy the machine may be."""
_LOADING = 2
"""Times its size on disk that a base takes at most while it is loaded: the files are mapped, and copied from there."""
_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True)
class Calibration:
    """What a measurement on demand was made for, and when."""

    key: str
    """Names dataset and settings; see `trainer_svc.app.calibrator`."""
    time: datetime
    tenant: str = ""
    """Who asked for it; empty where an earlier release made it."""


@dataclass(frozen=True)
class Usage:
    """What one uninterrupted run took, or a few steps and answers of one.

    Runs of other training code, which may lack what has a default, are read and left out.
    """

    base_model_digest: str
    mode: TrainingMode
    rank: int
    threads: int
    device: str
    """`cpu`, or the name of the GPU."""
    trained_tokens: int
    """Tokens of all epochs, read and learned, without padding."""
    batch_tokens: int
    """Tokens of the largest batch there can be: its rows times the width of the longest. Peak memory grows with it."""
    startup_seconds: float
    """From the start of the process to the first step: tokenizing, compiling the contract, loading the base."""
    training_seconds: float
    evaluation_seconds: float
    """Between steps and after the last: answering rows, proving and packing the adapter."""
    peak_bytes: int
    """Most memory held: of the process on CPU, of the GPU otherwise."""
    step_count: int = 0
    padded_tokens: int = 0
    """Tokens of all steps, padding included."""
    steps: StepSums | None = None
    """Of the steps after the first, which also warms up."""
    scored_count: int = 0
    """Held-out rows of which the loss was taken, once for each evaluated state of the adapter."""
    answer_tokens: int = 0
    """Tokens of all answers to rows, stop tokens included."""
    answering_seconds: float = 0.0
    """Of `evaluation_seconds`: generating them."""
    scoring_seconds: float = 0.0
    """Of `evaluation_seconds`: the loss on held-out rows."""
    forgetting_seconds: float = 0.0
    """Of `evaluation_seconds`: what each evaluated state of the adapter did to the base."""
    checkpoint_count: int = 0
    """States of the adapter that were evaluated."""
    proving_seconds: float = 0.0
    """Of `evaluation_seconds`: showing the adapter to the engine that will serve it."""
    free_bytes: int | None = None
    """Memory of the GPU that was free before; None on CPU, where it can be asked at any time."""
    validation_count: int = 0
    """Validations on the way, each with a base of its own beside the one that is trained on."""
    calibration: Calibration | None = None
    """Set where it was measured on demand, and is no whole run."""
    servability_proof: ServabilityMode = ServabilityMode.STATIC
    """Which tells who gave the answers: vLLM, or transformers."""
    recipe_version: int = 0
    """Of the training code: another may be twice as fast."""

    @property
    def seconds(self) -> float:
        """From start to end."""
        return self.startup_seconds + self.training_seconds + self.evaluation_seconds


@dataclass(frozen=True)
class Work:
    """What a job will have to do."""

    epoch_tokens: int
    epoch_count: int
    step_count: int
    batch_tokens: int
    scored_count: int
    """As in `Usage`."""
    padded_tokens: int
    """Of all epochs, padding included."""
    answer_tokens: int
    """Of the golden answers to what will be answered, each time it is."""
    validation_count: int = 0
    """As if it did not stop early."""
    checkpoint_count: int = 1
    """States of the adapter that will be evaluated."""
    base_bytes: int = 0
    """Of the base's weights on disk."""

    @property
    def tokens(self) -> int:
        """Of all epochs."""
        return self.epoch_tokens * self.epoch_count


@dataclass(frozen=True)
class Price:
    """What the operator says an hour of training costs; 0 where nothing is said."""

    per_hour: float = 0.0
    currency: str = ""
    watts: float = 0.0


@dataclass(frozen=True)
class Estimate:
    """Seconds of the run itself, without its time in the queue, and what it needs and costs."""

    work: Work
    low_seconds: float
    seconds: float
    high_seconds: float
    peak_bytes: int
    run_count: int
    """Measured runs and calibrations that it rests on."""
    is_same_rank: bool
    """Whether they had the job's rank; else runs of other ranks stand in."""
    past_error_ratio: float | None
    """Median share by which estimates from the runs before would have missed each later one; None for a single run."""
    is_calibrated: bool
    """Whether it rests on a calibration of this very job."""
    available_bytes: int | None = None
    """Memory that is free, where `peak_bytes` would be taken; None where nobody knows."""

    @property
    def fits(self) -> bool | None:
        """Whether the run would find the memory it needs; None where nobody knows."""
        return None if self.available_bytes is None else self.peak_bytes <= self.available_bytes

    def hours(self, seconds: float) -> float:
        """In hours, as prices are."""
        return seconds / _SECONDS_PER_HOUR


def estimate(work: Work, rank: int, runs: Sequence[Usage], *, is_calibrated: bool = False) -> Estimate:
    """The estimate from runs of the same base, mode, threads and device, oldest first; at least one.

    `seconds = startup + level * (steps * fixed + padded tokens * pace) + evaluation`. Fixed time and pace are fitted to
    the steps of all runs, `level` is by how much a run was slower than they say. `evaluation = (1 + validations) * load
    + scored rows * seconds per row + answer tokens * seconds per token + checkpoints * seconds of measuring what one
    forgot`, where `load` is mostly that of a base.
    Startup, level and evaluation are each the median over the runs; low and high take the best and the worst of each.
    Runs of a single step, which tell no pace, count only where there are no others. Peak memory is that of the run
    with the largest batches, in proportion where the job's are larger still: more than it will take, since the weights
    do not grow with the batch. A job that validates goes by runs that did; where there are none, a second base is
    added.
    """
    same = [run for run in runs if run.rank == rank]
    alike = same or runs
    chosen = [run for run in alike if run.steps is not None] or alike
    middle = _seconds(work, chosen, median)
    low = min(_seconds(work, chosen, min), middle * (1 - _LEAST_SPREAD))
    high = max(_seconds(work, chosen, max), middle * (1 + _LEAST_SPREAD))
    return Estimate(
        work=work,
        low_seconds=low,
        seconds=middle,
        high_seconds=high,
        peak_bytes=_peak_bytes(work, chosen),
        run_count=len(chosen),
        is_same_rank=bool(same),
        past_error_ratio=_past_error_ratio(chosen),
        is_calibrated=is_calibrated,
    )


def _seconds(work: Work, runs: Sequence[Usage], pick: Callable[[Sequence[float]], float]) -> float:
    known = [run.steps for run in runs if run.steps is not None]
    pace = fit_pace(known) if known else Pace(0.0, 1.0)
    levels = [run.training_seconds / pace.seconds(run.step_count, run.padded_tokens) for run in runs]
    training = pick(levels) * pace.seconds(work.step_count, work.padded_tokens)
    evaluations = [_evaluation_seconds(work, run) for run in runs]
    return pick([run.startup_seconds for run in runs]) + training + pick(evaluations)


def _evaluation_seconds(work: Work, run: Usage) -> float:
    """That of the job, at the pace of one run."""
    rows = work.scored_count / max(1, run.scored_count)
    known = run.answering_seconds + run.scoring_seconds + run.forgetting_seconds + run.proving_seconds
    loads = (run.evaluation_seconds - known) / (1 + run.validation_count)
    answering = run.answering_seconds * work.answer_tokens / max(1, run.answer_tokens)
    forgetting = run.forgetting_seconds * work.checkpoint_count / max(1, run.checkpoint_count)
    told = run.scoring_seconds * rows + answering + forgetting + run.proving_seconds
    return (1 + work.validation_count) * loads + told


def _peak_bytes(work: Work, runs: Sequence[Usage]) -> int:
    alike = [run for run in runs if (run.validation_count > 0) == (work.validation_count > 0)]
    second = 0 if alike or not work.validation_count else _LOADING * work.base_bytes
    known = alike or runs
    enough = [run.peak_bytes for run in known if run.batch_tokens >= work.batch_tokens]
    if enough:
        return min(enough) + second
    largest = max(known, key=lambda run: (run.batch_tokens, run.peak_bytes))
    return round(largest.peak_bytes * work.batch_tokens / largest.batch_tokens) + second


def _past_error_ratio(runs: Sequence[Usage]) -> float | None:
    errors = []
    for index, run in enumerate(runs[1:], 1):
        if run.calibration is None:
            told = _seconds(_work_of(run), runs[:index], median)
            errors.append(abs(told - run.seconds) / run.seconds)
    return median(errors) if errors else None


def _work_of(run: Usage) -> Work:
    return Work(
        run.trained_tokens, 1, run.step_count, run.batch_tokens, run.scored_count, run.padded_tokens,
        run.answer_tokens, run.validation_count, run.checkpoint_count,
    )  # fmt: skip
