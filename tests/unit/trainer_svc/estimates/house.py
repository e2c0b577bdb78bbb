"""What estimates are made of, in the database."""

from __future__ import annotations

import asyncio
from typing import Any

from shared.names import TenantName
from trainer_svc.app.estimates import Estimates
from trainer_svc.domain.dataset import Dataset, DatasetState, Report
from trainer_svc.domain.estimate import Usage
from trainer_svc.domain.job import JobSpec
from trainer_svc.domain.token_length import TokenLengths
from trainer_svc.store import calibration, catalog
from trainer_svc.store.database import Database


def store(database: Database, clock: Any, lengths: TokenLengths | None, *runs: Usage) -> None:
    """A dataset that was measured so, and runs."""
    dataset = Dataset(
        "tenants/acme/datasets/d", "tenants/acme/contracts/c", "", "", clock.now(),
        state=DatasetState.ACTIVE, report=Report(100, 90, 10, 0, token_lengths=lengths),
    )  # fmt: skip

    def work(connection: Any) -> None:
        catalog.add_dataset(connection, dataset)
        for run in runs:
            calibration.add_usage(connection, run)

    asyncio.run(database.run(work))


def estimated(estimates: Estimates, spec: JobSpec, dataset: str = "tenants/acme/datasets/d") -> Any:
    """The estimate, and the settings it was made for."""
    return asyncio.run(estimates.of_job(TenantName("acme"), dataset, spec))
