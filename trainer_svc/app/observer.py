"""What happens to jobs and datasets, for those who measure; the use cases tell it, and know none of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from trainer_svc.domain.dataset import Dataset
from trainer_svc.domain.job import Job, JobState


class Observer(Protocol):
    """Someone who measures. Calls come from the event loop, take microseconds and raise nothing."""

    def jobs_counted(self, counts: Mapping[JobState, int]) -> None:
        """So many jobs are in each state now, those of earlier processes included; a state without any is left out."""

    def attempt_begins(self, job: Job, waited_seconds: float) -> None:
        """A job begins to run: for the first time after so long in the queue, or again (`job.attempt` above 1)."""

    def job_ends(self, job: Job) -> None:
        """A job that a worker took up is final; told once in the life of a process."""

    def dataset_checked(self, dataset: Dataset) -> None:
        """A golden dataset was sealed and has its report; told at the check, not when it is sealed again."""


class Unobserved:
    """Implements `Observer`: nobody measures."""

    def jobs_counted(self, counts: Mapping[JobState, int]) -> None:
        """Nothing."""

    def attempt_begins(self, job: Job, waited_seconds: float) -> None:
        """Nothing."""

    def job_ends(self, job: Job) -> None:
        """Nothing."""

    def dataset_checked(self, dataset: Dataset) -> None:
        """Nothing."""


UNOBSERVED: Observer = Unobserved()
