"""Which job a free worker takes: fairness between tenants, priorities within one, and nobody waits for ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from shared.errors import Exhausted
from shared.names import JobName
from trainer_svc.domain.job import Job, Priority

AGING_SECONDS = 3600.0
"""In the queue for so long, a job rises by one priority: a few jobs of the shipped base, one of a large base."""
_PATIENCE_SECONDS = 2 * AGING_SECONDS
"""So long a LOW job takes to be HIGH; from then on it does not matter either what its tenant runs."""
_LEVELS = {priority: level for level, priority in enumerate(Priority)}
_HIGHEST = max(_LEVELS.values())


class Turns(dict[str, int]):
    """Of each tenant, the number of its last start, counted over all tenants.

    Not stored: a restart of the service forgets it, and the oldest jobs go first then.
    """

    def take(self, tenant: str) -> None:
        """A job of the tenant begins."""
        self[tenant] = max(self.values(), default=0) + 1


def next_job(
    queued: Sequence[Job], *, running: Mapping[str, int], turns: Mapping[str, int], now: datetime
) -> Job | None:
    """The job that goes first, of those `queued`, oldest first; None without any.

    The tenant with the fewest `running` jobs wins, then the one whose last turn (a number that grows with every start;
    absent: never) is the longest ago; of its jobs, or of all tenants that are equal in both, that of the highest level,
    then the oldest. A level is the job's priority, and one more for each `AGING_SECONDS` in the queue, up to HIGH. Of a
    job that has waited for two hours it does not count what its tenant runs: that may be one job that takes for days.

    Turns come before levels: with one worker no tenant has a running job when the next is chosen, and a tenant that
    calls all its jobs HIGH would keep out everybody else. So a job that has waited for two hours has, before it, at
    most the older jobs of its tenant that have, too, and one turn of every other tenant for each.
    """
    places = enumerate(queued)

    def order(place: tuple[int, Job]) -> tuple[int, int, int, int]:
        age, job = place
        tenant, waited = JobName.parse(job.name).tenant, _waited(job, now)
        counted = running.get(tenant, 0) if waited < _PATIENCE_SECONDS else 0
        return counted, turns.get(tenant, 0), -_level(job, waited), age

    return min(places, key=order, default=(0, None))[1]


def _waited(job: Job, now: datetime) -> float:
    return (now - (job.queue_time or job.create_time)).total_seconds()


def _level(job: Job, waited: float) -> int:
    return min(_HIGHEST, _LEVELS[job.priority] + max(0, int(waited // AGING_SECONDS)))


def check_room(*, of_tenant: int, tenant_limit: int, of_all: int, limit: int) -> None:
    """Lets one more job wait beside those that do; paused ones count in `of_tenant` only.

    Raises:
        Exhausted: QUOTA_EXCEEDED for the tenant's own limit, QUEUE_FULL for that of all tenants together.
    """
    if of_tenant >= tenant_limit:
        raise Exhausted(
            "QUOTA_EXCEEDED",
            f"{of_tenant} training jobs of the tenant wait or are paused, {tenant_limit} may",
            hint="cancel some of them, or try again when one has begun",
            metadata={"quota": "tenant_waiting_jobs", "limit": str(tenant_limit)},
        )
    if of_all >= limit:
        raise Exhausted(
            "QUEUE_FULL",
            f"{of_all} training jobs wait, {limit} may",
            hint="try again when some have begun",
            metadata={"quota": "waiting_jobs", "limit": str(limit)},
        )
