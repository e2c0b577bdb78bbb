"""What a training job will take, told from what earlier runs took on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from trainer_svc.domain.run import TrainingMode

_LEAST_SPREAD = 0.2
"""Share by which low and high leave the middle at least: few runs do not know how busy the machine may be."""
_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True)
class Usage:
    """What one uninterrupted run took."""

    base_model_digest: str
    mode: TrainingMode
    rank: int
    threads: int
    device: str
    """`cpu`, or the name of the GPU."""
    trained_tokens: int
    """Tokens of all epochs, read and learned, without padding."""
    batch_tokens: int
    """Tokens of the largest batch there can be: its rows times the longest row. Peak memory grows with it."""
    holdout_count: int
    """Rows that were answered: those held out, and those that validated on the way, each time."""
    startup_seconds: float
    """Until the first step: tokenizing, compiling the contract, loading the base."""
    training_seconds: float
    evaluation_seconds: float
    """Between steps and after the last: answering rows, proving and packing the adapter."""
    peak_bytes: int
    """Most memory held: of the process on CPU, of the GPU otherwise."""

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
    holdout_count: int
    """As in `Usage`."""

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
    """Measured runs that it rests on."""
    is_same_rank: bool
    """Whether they had the job's rank; else runs of other ranks stand in."""
    past_error_ratio: float | None
    """Median share by which estimates from the runs before would have missed each later one; None for a single run."""

    def hours(self, seconds: float) -> float:
        """In hours, as prices are."""
        return seconds / _SECONDS_PER_HOUR


def estimate(work: Work, rank: int, runs: Sequence[Usage]) -> Estimate:
    """The estimate from runs of the same base, mode, threads and device, oldest first; at least one.

    `seconds = startup + tokens / rate + holdout rows * seconds per row`, each the median over the runs; low and high
    take the best and the worst of each. Peak memory is that of the run with the largest batches, in proportion where
    the job's are larger still: more than it will take, since the weights do not grow with the batch.
    """
    same = [run for run in runs if run.rank == rank]
    chosen = same or runs
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
    )


def _seconds(work: Work, runs: Sequence[Usage], pick: Callable[[Sequence[float]], float]) -> float:
    startups = [run.startup_seconds for run in runs]
    paces = [run.training_seconds / run.trained_tokens for run in runs]
    answers = [run.evaluation_seconds / max(1, run.holdout_count) for run in runs]
    return pick(startups) + pick(paces) * work.tokens + pick(answers) * work.holdout_count


def _peak_bytes(work: Work, runs: Sequence[Usage]) -> int:
    enough = [run.peak_bytes for run in runs if run.batch_tokens >= work.batch_tokens]
    if enough:
        return min(enough)
    largest = max(runs, key=lambda run: (run.batch_tokens, run.peak_bytes))
    return round(largest.peak_bytes * work.batch_tokens / largest.batch_tokens)


def _past_error_ratio(runs: Sequence[Usage]) -> float | None:
    errors = []
    for index, run in enumerate(runs[1:], 1):
        work = Work(run.trained_tokens, 1, 0, run.batch_tokens, run.holdout_count)
        errors.append(abs(_seconds(work, runs[:index], median) - run.seconds) / run.seconds)
    return median(errors) if errors else None
