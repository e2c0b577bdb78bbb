"""Jobs that adapters have taken, and `goldsmith` as it tells what they cost."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime

from typer.testing import CliRunner

from shared.cli.main import app
from shared.testing import ManualClock
from tests.economics_house import DATASET
from tests.unit.inference_svc.conftest import ADAPTER
from trainer_svc.domain.job import Job, JobSpec, JobState

FAILED = Job(
    "tenants/acme/jobs/second", DATASET, ADAPTER, "live", JobSpec(), ManualClock().now(), state=JobState.FAILED,
    attempt=2, run_seconds=900.0,
)  # fmt: skip
WAITING = Job(
    "tenants/acme/jobs/third", DATASET, ADAPTER, "live", JobSpec(), ManualClock().now(), state=JobState.QUEUED
)
OTHER = dataclasses.replace(FAILED, name="tenants/acme/jobs/other", adapter="tenants/acme/adapters/another")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


async def run(*arguments: str) -> str:
    """What a command of `goldsmith` that succeeds prints, run beside the servers of this process."""
    env = {"COLUMNS": "250", "NO_COLOR": "1", "TERM": "dumb"}
    result = await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=env)
    assert result.exit_code == 0, result.output
    return result.stdout
