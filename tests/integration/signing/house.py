"""A trainer with signed revisions and others."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from shared.base_model import BaseModel
from shared.names import JobName
from shared.prompt import PromptRenderer
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from tests.adapter_file import write_random_package
from tests.operator_key import OperatorKey
from tests.unit.inference_svc.conftest import CONTRACT, RANK, SPEC
from tests.unit.trainer_svc.evaluation_sample import write_evaluation
from trainer_svc.app.live_comparison import StoredAnswers
from trainer_svc.app.promotion_gate import PromotionGate
from trainer_svc.app.publisher import Publisher
from trainer_svc.domain.job import Job, JobSpec, JobState
from trainer_svc.domain.run import RunFolder
from trainer_svc.domain.run_result import Evaluation, RunResult
from trainer_svc.store import history
from trainer_svc.store.database import Database

ADAPTER = "tenants/acme/adapters/answer/revisions"
ONE, OTHER = OperatorKey(1), OperatorKey(2)
SIGNED, UNSIGNED, FOREIGN, ROTTEN = f"{ADAPTER}/1", f"{ADAPTER}/2", f"{ADAPTER}/3", f"{ADAPTER}/4"


def publish_revision(data: Path, folder: Path, base: BaseModel, number: int, operator: OperatorKey | None) -> None:
    """As the trainer does when a job's run has ended."""
    run, name, clock = RunFolder(folder / f"run-{number}"), JobName("acme", f"job-{number}"), ManualClock()
    digest = write_random_package(
        base, run.package, rank=RANK, seed=number, prompt_digest=PromptRenderer.load(base).digest,
        contract=CONTRACT, spec=SPEC,
    )  # fmt: skip
    run.result.write_bytes(RunResult(digest, Evaluation(5, 0.5, 0.6, None, 100.0, 10.0, 0.1)).to_json())
    write_evaluation(run)
    queued = Job(str(name), "tenants/acme/datasets/d", "tenants/acme/adapters/answer", "live", JobSpec(), clock.now())
    running = replace(queued, state=JobState.QUEUED).move(JobState.RUNNING, clock.now(), attempt=1)
    database, signer = Database(f"sqlite:///{data / 'trainer.db'}"), operator.signer if operator else None
    database.migrate()

    def work(connection: Any) -> None:  # Any: a connection
        history.add_job(connection, queued)
        history.save_job(connection, running)

    async def publish() -> None:
        await database.run(work)
        blobs = LocalBlobStore(data / "blobs")
        gate = PromotionGate(StoredAnswers(blobs))
        await Publisher(database, blobs, clock, gate, signer).publish(str(name), run)

    asyncio.run(publish())
    database.close()
