"""Lays out the folder in which a child process works on a job."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from shared.base_model import BaseModel
from shared.files import write_atomic
from shared.names import ContractName, DatasetName, JobName
from shared.storage.base import BlobStore
from trainer_svc.domain.job import JobSpec
from trainer_svc.domain.registry import Revision
from trainer_svc.domain.run import DEFAULT_CONTEXT_TOKENS, RunFolder, RunSpec, ServedType
from trainer_svc.domain.servability import ServabilityMode
from trainer_svc.store import catalog, history
from trainer_svc.store.database import Database


@dataclass(frozen=True)
class RunnerSettings:
    """Where runs live and what a child may use."""

    runs_dir: Path
    contract_dir: Path
    threads: int
    parallel_jobs: int
    processes: int = 1
    """Of one job."""
    benchmark_dir: Path | None = None
    """The operator's benchmark files, absolute."""
    servability_proof: ServabilityMode = ServabilityMode.STATIC
    max_lora_rank: int = 64
    """Largest rank that is served."""
    served_type: ServedType = ServedType.AUTO
    served_context_tokens: int = DEFAULT_CONTEXT_TOKENS


class RunFiles:
    """Writes what a run reads: its spec, its rows, and the revisions to begin with and to compare with."""

    def __init__(self, database: Database, blobs: BlobStore, base: BaseModel, settings: RunnerSettings) -> None:
        self._database, self._blobs, self._base, self._settings = database, blobs, base, settings

    async def write(
        self, folder: RunFolder, spec: JobSpec, *, job: str, dataset: str, start: Revision | None = None,
        live: Revision | None = None,
    ) -> None:  # fmt: skip
        """Everything anew; what an earlier attempt said of its end goes."""
        golden = await self._database.run(lambda c: catalog.get_dataset(c, DatasetName.parse(dataset)))
        contract = await self._database.run(lambda c: catalog.get_contract(c, ContractName.parse(golden.contract)))
        wanted = RunSpec(
            job=job,
            base_model_dir=str(self._base.folder),
            contract_name=contract.name,
            contract=contract.spec,
            contract_cache_dir=str(self._settings.contract_dir),
            dataset_digest=golden.content_digest,
            threads=self._settings.threads,
            processes=self._settings.processes,
            servability_proof=self._settings.servability_proof,
            max_lora_rank=self._settings.max_lora_rank,
            served_type=self._settings.served_type,
            served_context_tokens=self._settings.served_context_tokens,
            instruction_prompt=golden.instruction_prompt,
            database_sql=golden.database_sql,
            split_seed=golden.split_seed,
            start_digest=start.digest if start is not None else "",
            live_revision=live.name if live is not None else "",
            live_digest=live.digest if live is not None else "",
            benchmark_dir=str(self._settings.benchmark_dir or ""),
            **dataclasses.asdict(spec),
        )

        known = await self._database.run(lambda c: _train_rows_of(c, live)) if live is not None else ""

        def write() -> None:
            write_atomic(folder.train_rows, self._blobs.read(golden.train_rows))
            write_atomic(folder.holdout_rows, self._blobs.read(golden.holdout_rows))
            for place, revision in ((folder.start, start), (folder.live, live)):
                if revision is not None:
                    self._write_package(place, revision)
            folder.live_rows.unlink(missing_ok=True)
            if known:
                write_atomic(folder.live_rows, self._blobs.read(known))
            write_atomic(folder.spec, wanted.to_json())
            folder.failure.unlink(missing_ok=True)
            folder.stop.unlink(missing_ok=True)

        await asyncio.to_thread(write)

    def _write_package(self, folder: Path, revision: Revision) -> None:
        """Lays out a package, whose bytes the child checks against the digest; what a crash left of one goes first."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in revision.files:
            with (folder / file.filename).open("wb") as copy:
                copy.writelines(self._blobs.chunks(file.digest, 0, 1 << 20))


def _train_rows_of(connection: Connection, revision: Revision) -> str:
    """Digest of the blob with the rows that a revision was trained on; empty where its job or dataset is not there."""
    job = history.find_job(connection, JobName.parse(revision.training_job))
    dataset = catalog.find_dataset(connection, DatasetName.parse(job.dataset)) if job is not None else None
    return dataset.train_rows if dataset is not None else ""
