"""Which job a free worker takes, and how many may wait."""

from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Exhausted
from shared.testing import ManualClock
from trainer_svc.domain.job import Job, JobSpec, JobState, Priority
from trainer_svc.domain.job_queue import AGING_SECONDS, Turns, check_room, next_job

START = ManualClock().now()


def _job(tenant: str, name: str = "j", priority: Priority = Priority.NORMAL, at: float = 0.0) -> Job:
    queued = START + timedelta(seconds=at)
    return Job(
        f"tenants/{tenant}/jobs/{name}", f"tenants/{tenant}/datasets/d", f"tenants/{tenant}/adapters/a", "live",
        JobSpec(), queued, state=JobState.QUEUED, priority=priority, queue_time=queued,
    )  # fmt: skip


def _first(
    *queued: Job, running: dict[str, int] | None = None, turns: dict[str, int] | None = None, at: float = 0.0
) -> Job:
    found = next_job(queued, running=running or {}, turns=turns or {}, now=START + timedelta(seconds=at))
    assert found is not None
    return found


class TestOrder:
    """The job that goes first."""

    def test_of_an_empty_queue_is_none(self) -> None:
        """Nothing waits."""
        assert next_job([], running={}, turns={}, now=START) is None

    def test_has_the_highest_priority_of_its_tenant(self) -> None:
        """Before age."""
        low, normal, high = (_job("acme", priority=priority) for priority in Priority)

        assert _first(low, normal, high, running={"acme": 5}) is high
        assert _first(low, normal) is normal

    def test_is_of_the_tenant_that_runs_least(self) -> None:
        """Whatever the priorities of the others, and their turns."""
        acme, globex = _job("acme", priority=Priority.HIGH), _job("globex", priority=Priority.LOW)

        assert _first(acme, globex, running={"acme": 1}) is globex
        assert _first(acme, globex, running={"acme": 1}, turns={"globex": 1}) is globex

    def test_is_of_the_tenant_that_was_served_least_recently(self) -> None:
        """A tenant that fills the queue waits for the others' turns, and calls its jobs HIGH in vain."""
        queue = [_job("acme", f"j{i}", Priority.HIGH) for i in range(9)] + [_job("globex", priority=Priority.LOW)]

        assert _first(*queue, turns={"acme": 1}) is queue[-1]
        assert _first(*queue, turns={"acme": 1, "globex": 2}) is queue[0]

    def test_has_the_highest_priority_where_nobody_was_served(self) -> None:
        """As after a restart: turns decide from the next job on."""
        normal, high = _job("acme"), _job("globex", priority=Priority.HIGH)

        assert _first(normal, high) is high
        assert _first(normal, high, turns={"globex": 1}) is normal

    def test_is_the_oldest(self) -> None:
        """All else being equal; queued jobs are given in that order."""
        jobs = [_job("acme", f"j{i}") for i in range(3)]

        assert _first(*jobs) is jobs[0]

    def test_rises_while_it_waits(self) -> None:
        """One priority an hour: LOW is NORMAL after one, HIGH after two, and no more than that."""
        old, young = _job("acme", priority=Priority.LOW), _job("acme", "k", Priority.HIGH, at=2 * AGING_SECONDS)
        normal = _job("acme", "k", at=AGING_SECONDS)

        assert _first(old, normal, at=AGING_SECONDS - 1) is normal
        assert _first(old, normal, at=AGING_SECONDS) is old
        assert _first(old, young, at=2 * AGING_SECONDS - 1) is young
        assert _first(old, young, at=2 * AGING_SECONDS) is old
        younger = _job("acme", "l", Priority.HIGH, at=3 * AGING_SECONDS)
        assert _first(younger, old, at=9 * AGING_SECONDS) is younger

    @given(
        others=st.lists(st.sampled_from(Priority), min_size=1, max_size=4),
        minutes=st.integers(5, 90),
        own=st.integers(0, 3),
        workers=st.integers(1, 3),
        impatient=st.booleans(),
        endless=st.integers(0, 2),
    )
    def test_starves_nobody(
        self, others: list[Priority], minutes: int, own: int, workers: int, endless: int, *, impatient: bool
    ) -> None:
        """A LOW job starts: after two hours, and one turn of each other tenant for each older job of its own.

        Every other tenant always has a fresh job waiting, an impatient one of its own tenant is HIGH, and each job runs
        for `minutes`, but for `endless` ones of its own tenant. Without those no hours pass but in turns.
        """
        jobs = [_job("acme", f"j{i}", Priority.LOW) for i in range(own + 1)]
        waiting, running, turns, now = list(jobs), Counter[str](), Turns(), 0.0
        started: list[Job] = []
        bound = 2 * AGING_SECONDS * (impatient or endless > 0) + (own + 2) * (len(others) + 1) * minutes * 60

        while jobs[-1] not in started:
            assert now <= bound
            running.clear()  # a round: all workers are free again
            running["acme"] = endless
            for _ in range(workers):
                fresh = [_job(f"t{i}", f"at{now:.0f}", priority, now) for i, priority in enumerate(others)]
                fresh += [_job("acme", f"at{now:.0f}", Priority.HIGH, now)] * impatient
                taken = _first(*waiting, *fresh, running=running, turns=turns, at=now)
                tenant = taken.name.split("/")[1]
                running[tenant] += 1
                turns.take(tenant)
                started.append(taken)
                waiting = [job for job in waiting if job is not taken]
            now += minutes * 60

    def test_of_a_row_from_an_older_service_counts_from_its_creation(self) -> None:
        """It has no time of queueing."""
        old = dataclasses.replace(_job("acme", priority=Priority.LOW), queue_time=None)

        young = _job("acme", "k", at=AGING_SECONDS)
        assert _first(old, young, at=AGING_SECONDS - 1) is young
        assert _first(old, young, at=AGING_SECONDS) is old


class TestRoom:
    """How many jobs may wait."""

    def test_is_bounded_for_a_tenant_and_for_all(self) -> None:
        """The error names the bound; the last place is still given."""
        check_room(of_tenant=2, tenant_limit=3, of_all=8, limit=9)

        with pytest.raises(Exhausted) as own:
            check_room(of_tenant=3, tenant_limit=3, of_all=3, limit=9)
        with pytest.raises(Exhausted) as all_:
            check_room(of_tenant=0, tenant_limit=3, of_all=9, limit=9)

        assert (own.value.reason, own.value.metadata) == (
            "QUOTA_EXCEEDED",
            {"quota": "tenant_waiting_jobs", "limit": "3"},
        )
        assert (all_.value.reason, all_.value.metadata) == ("QUEUE_FULL", {"quota": "waiting_jobs", "limit": "9"})
