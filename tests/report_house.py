"""Jobs that ended, stored as a trainer leaves them, for reports on them."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path

from shared.adapter.manifest import PackageFile
from shared.names import AdapterName
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from tests.unit.trainer_svc.evaluation_sample import COMPARISON, RIGHT, WRONG, checkpoint, evaluation, row
from trainer_svc.domain.comparison import MetricName, Verdict
from trainer_svc.domain.dataset import Dataset, DatasetState, Finding, Report
from trainer_svc.domain.evaluation import ScoredAnswer
from trainer_svc.domain.job import Event, Failure, Job, JobSpec, JobState, Progress
from trainer_svc.domain.promotion import CheckOutcome, CheckReason, PromotionCheck, PromotionReport
from trainer_svc.domain.promotion_policy import PromotionMode
from trainer_svc.domain.registry import Revision
from trainer_svc.store import catalog, history, shelf
from trainer_svc.store.codec import dump
from trainer_svc.store.database import Database

TENANT = "tenants/acme"
DONE, FAILED, PAUSED, EARLIER = (f"{TENANT}/jobs/{job}" for job in ("done", "failed", "paused", "earlier"))
HOSTILE = '<script>document.title="taken"</script>\u202e\x1b[31m'
_ZERO = "sha256:" + "0" * 64
_ROW_COUNT = 30


def store_jobs(data: Path) -> None:
    """Into the folder of a trainer that does not run: jobs that succeeded, failed, pause, and were never evaluated."""
    database, blobs, clock = Database(f"sqlite:///{data}/trainer.db"), LocalBlobStore(data / "blobs"), ManualClock()
    database.migrate()
    done = Job(
        DONE, f"{TENANT}/datasets/golden", f"{TENANT}/adapters/answer", "live",
        JobSpec(rank=16, learning_rate=0.002, epoch_count=3), clock.now(), state=JobState.SUCCEEDED,
        revision=f"{TENANT}/adapters/answer/revisions/1", promotion=_STOPPED, progress=Progress(30, 30, 0.125),
        evaluation_digest=blobs.put_bytes(dump(_EVALUATION).encode()),
        evaluated_rows_digest=blobs.put_bytes(_rows().encode()), start_time=clock.now(), end_time=clock.now(),
    )  # fmt: skip
    failure = Failure("OUT_OF_MEMORY", "16 GiB are not enough", user_error=False)
    unfinished = dataclasses.replace(done, revision="", evaluation_digest="", evaluated_rows_digest="", promotion=None)
    jobs = [
        done,
        dataclasses.replace(unfinished, name=FAILED, state=JobState.FAILED, failure=failure),
        dataclasses.replace(unfinished, name=PAUSED, state=JobState.PAUSED),
        dataclasses.replace(done, name=EARLIER, evaluation_digest="", evaluated_rows_digest=""),
    ]
    report = Report(40, 30, 10, 0, {"ROW_DUPLICATED": 2}, {"WARNING": 2}, distinct_output_count=7)
    dataset = Dataset(
        done.dataset, f"{TENANT}/contracts/c", "", "", clock.now(), state=DatasetState.ACTIVE, digest=_ZERO,
        report=report, split_seed=5,
    )  # fmt: skip
    files = (PackageFile("manifest.json", 8, blobs.put_bytes(b"manifest")),)
    revision = Revision("", _ZERO, files, DONE, f"{TENANT}/contracts/c", _ZERO, clock.now())

    async def store() -> None:
        for job in jobs:
            await database.run(lambda connection, job=job: history.add_job(connection, job))  # type: ignore[misc]
        for step in range(1, 31):
            event = Event(0, clock.now(), progress=Progress(step, 30, 2.0 / step))
            await database.run(lambda connection, event=event: history.append_event(connection, DONE, event))  # type: ignore[misc]
        await database.run(lambda connection: catalog.add_dataset(connection, dataset))
        findings = [Finding(number, "ROW_DUPLICATED", f"rows[{number}]", "twice", blocking=False) for number in (3, 9)]
        await database.run(lambda connection: catalog.save_dataset(connection, dataset, findings))
        await database.run(lambda connection: shelf.add_revision(connection, AdapterName("acme", "answer"), revision))

    asyncio.run(store())
    database.close()


_TASK = dataclasses.replace(COMPARISON, metric=MetricName.TASK_METRIC, verdict=Verdict.BETTER)
_EVALUATION = evaluation(
    checkpoints=tuple(checkpoint(step, is_published=step == 30) for step in (8, 15, 23, 30)),
    against_base=(_TASK, COMPARISON), against_chance=(_TASK,), against_bare_base=(_TASK,), memorised=_TASK,
)  # fmt: skip
_STOPPED = PromotionReport(
    passed=False, mode=PromotionMode.LIVE,
    checks=(
        PromotionCheck("own_stop", CheckOutcome.PASSED, "1.000 of the free answers ended by themselves"),
        PromotionCheck(
            "not_worse_than_base", CheckOutcome.FAILED, "-0.100 against the base model", CheckReason.WORSE_THAN_BASE
        ),
    ),
)  # fmt: skip


def _rows() -> str:
    """Hostile ones among them, and one as long as a row may be."""
    objects = (json.dumps({HOSTILE: number}) for number in range(3, _ROW_COUNT))
    texts = ["plain", HOSTILE, "x" * 30_000, *objects]
    lines = []
    for number, text in enumerate(texts, start=1):
        score = WRONG if number <= 20 else RIGHT
        answer = ScoredAnswer(text.replace("p", "q"), score)
        lines.append(dump(row(number, score, input=text, golden=text, adapter=answer, base=answer)))
    return "".join(f"{line}\n" for line in lines)
