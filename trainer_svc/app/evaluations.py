"""What jobs measured of the adapters that they published, read back from where the publisher put it."""

from __future__ import annotations

import asyncio

from shared.errors import StateConflict
from shared.names import JobName
from shared.rpc.page import Page
from shared.storage.base import BlobStore
from trainer_svc.app.line_page import take_lines
from trainer_svc.domain.evaluation import AdapterEvaluation, EvaluatedRow
from trainer_svc.domain.job import Job
from trainer_svc.store import history
from trainer_svc.store.codec import load
from trainer_svc.store.database import Database


class Evaluations:
    """Evaluations of jobs that succeeded."""

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database, self._blobs = database, blobs

    async def of_job(self, name: JobName) -> tuple[Job, AdapterEvaluation]:
        """The job and its evaluation. Raises `NotFound`, and `StateConflict` (NOT_EVALUATED) where it has none."""
        job = await self._evaluated(name)
        text = await asyncio.to_thread(self._blobs.read, job.evaluation_digest)
        return job, load(AdapterEvaluation, text.decode())

    async def rows(self, name: JobName, page: Page) -> tuple[list[EvaluatedRow], str]:
        """Held-out rows, the worst answered first, and the token of the next page. Raises as `of_job`."""
        job = await self._evaluated(name)

        def read() -> tuple[list[EvaluatedRow], str]:
            taken, token = take_lines(self._blobs.read(job.evaluated_rows_digest), page)
            return [load(EvaluatedRow, line.decode()) for line in taken], token

        return await asyncio.to_thread(read)

    async def _evaluated(self, name: JobName) -> Job:
        job = await self._database.run(lambda c: history.get_job(c, name))
        if not job.evaluation_digest:
            raise StateConflict(
                "NOT_EVALUATED",
                f"{name} is {job.state} and has no evaluation",
                hint="a job has one when it has succeeded; those of earlier releases have none",
                metadata={"state": job.state.value},
            )
        return job
