"""What requests cost and saved, as replicas report it, and what an adapter is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Protocol

from sqlalchemy import Connection

from shared.clock import Clock
from shared.names import AdapterName, RevisionName, TenantName
from shared.rpc.page import Page
from shared.usage import hour_begin, hour_of
from trainer_svc.app.adapter_history import history_of_adapter, labelled_datasets, lineage_of_revision
from trainer_svc.domain.job import Job
from trainer_svc.domain.request_rate import requests_per_day, window_hours
from trainer_svc.domain.savings import JobCost, LabelCost, Savings, TokenPrices, Traffic, run_cost
from trainer_svc.domain.usage_ledger import ReportedUsage, UsagePeriod, UsageSum, check_report
from trainer_svc.store import shelf, usage_ledger
from trainer_svc.store.database import Database

_MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Prices:
    """What the operator says; `currency` is of all."""

    tokens: TokenPrices
    training_hour: Fraction | None
    currency: str


class TeacherPrices(Protocol):
    """What labels cost."""

    def price_per_answer(self, name: str) -> Fraction | None:
        """Of a teacher now; None where nobody says, or there is none of that name any more."""


class Economics:
    """Keeps the ledger, and draws the balance."""

    def __init__(self, database: Database, clock: Clock, prices: Prices, teachers: TeacherPrices) -> None:
        self._database, self._clock, self._teachers = database, clock, teachers
        self.prices = prices

    async def report(self, parent: TenantName, replica_id: str, entries: Sequence[ReportedUsage]) -> None:
        """Stores what a replica counted; a repeat changes nothing. Raises `InvalidInput`, and stores nothing then."""
        check_report(entries)
        await self._database.run(lambda c: usage_ledger.store_usage(c, parent.tenant, replica_id, entries))

    async def usage(
        self, parent: TenantName, adapter: str, period: UsagePeriod, hours: int, page: Page
    ) -> tuple[list[UsageSum], str]:
        """One page by time, adapter and revision, of multiples of `hours`; an empty `adapter` means all."""
        return await self._database.run(
            lambda c: usage_ledger.list_usage(c, parent.tenant, adapter, period, hours, page)
        )

    async def savings(
        self, adapter: AdapterName, revision: RevisionName | None, period: UsagePeriod, prices: TokenPrices
    ) -> Savings:
        """The balance of an adapter, or of one revision of it, at these prices of tokens.

        Raises:
            NotFound: there is no such revision, or neither a revision nor a job of the adapter.
        """
        now = self._clock.now()

        def work(connection: Connection) -> Savings:
            jobs, missing_jobs = _jobs(connection, adapter, revision)
            labels, missing_datasets = labelled_datasets(connection, jobs)
            return Savings(
                traffic=_traffic(connection, adapter, revision, period, now),
                prices=prices.filled(),
                hour_price=self.prices.training_hour,
                jobs=[self._job_cost(job, now) for job in jobs],
                labels=[
                    LabelCost(name, teacher, count, self._teachers.price_per_answer(teacher))
                    for name, teacher, count in labels
                ],
                now=now,
                missing_jobs=missing_jobs,
                missing_datasets=missing_datasets,
            )

        return await self._database.run(work)

    def _job_cost(self, job: Job, now: datetime) -> JobCost:
        microseconds = round(job.run_time(now) * _MICROSECONDS)
        cost = run_cost(microseconds, self.prices.training_hour)
        return JobCost(job.name, job.state, job.revision, microseconds, cost)


def _jobs(connection: Connection, adapter: AdapterName, revision: RevisionName | None) -> tuple[list[Job], list[str]]:
    """Jobs that an adapter or a revision cost, newest first, and names of those that are not stored."""
    if revision is not None:
        return lineage_of_revision(connection, shelf.get_revision(connection, revision))
    return history_of_adapter(connection, adapter)


def _traffic(
    connection: Connection, adapter: AdapterName, revision: RevisionName | None, period: UsagePeriod, now: datetime
) -> Traffic:
    number = None if revision is None else revision.number
    counts, first, last = usage_ledger.sum_usage(connection, adapter.tenant, adapter.id, number, period)
    now_hour = hour_of(now)
    late = UsagePeriod(window_hours(now_hour)[0])
    ever, _, _ = usage_ledger.sum_usage(connection, adapter.tenant, adapter.id, number, UsagePeriod())
    answered = usage_ledger.answered_by_hour(connection, adapter.tenant, adapter.id, number, late)
    first_answered = usage_ledger.first_answered_hour(connection, adapter.tenant, adapter.id, number)
    return Traffic(
        counts=counts,
        first_hour=None if first is None else hour_begin(first),
        end=None if last is None else hour_begin(last + 1),
        requests_per_day=requests_per_day(first_answered, answered, now_hour),
        answered_ever=ever.answered_requests,
    )
