"""Publishes the package of a finished run: blobs first, then everything else in one transaction."""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy import Connection

from shared.adapter.manifest import AdapterManifest, PackageFile
from shared.adapter.package import MANIFEST_NAME, SIGNATURE_NAME, read_package
from shared.adapter.signature import Signer
from shared.clock import Clock
from shared.names import AdapterName, AliasName, JobName, RevisionName
from shared.rpc.access.audit import write_audit
from shared.storage.base import BlobStore
from trainer_svc.domain.job import Job, JobState
from trainer_svc.domain.registry import Revision
from trainer_svc.domain.run import RunFolder, RunResult
from trainer_svc.store import history, shelf
from trainer_svc.store.database import Database

_log = logging.getLogger(__name__)

_NO_ALIAS = "-"


class Publisher:
    """Makes a run's package the next revision of its adapter, signed where there is a key; no worker ever has it."""

    def __init__(self, database: Database, blobs: BlobStore, clock: Clock, signer: Signer | None = None) -> None:
        self._database, self._blobs, self._clock, self._signer = database, blobs, clock, signer

    async def publish(self, job: str, folder: RunFolder) -> None:
        """Publishes once: revision, alias and the job's end are one transaction, so a crash leaves all or nothing.

        The trial of a canary beside the revision that the alias leaves is over then, as it is when a caller sets an
        alias without one; the job, the log and the audit log say so.
        """
        result = RunResult.from_json(folder.result.read_bytes())
        manifest, files = await asyncio.to_thread(self._store, folder, result.manifest_digest)

        def work(connection: Connection) -> tuple[Job, AliasName | None]:
            now, stored = self._clock.now(), history.get_job(connection, JobName.parse(job))
            adapter = AdapterName.parse(stored.adapter)
            revision = Revision(
                name="",
                digest=result.manifest_digest,
                files=files,
                training_job=job,
                contract=manifest.contract_name,
                base_model_digest=manifest.base_model_digest,
                create_time=now,
                metrics=dict(manifest.metrics),
            )
            named = shelf.add_revision(connection, adapter, revision)
            alias, ended = None, ""
            if stored.alias_id != _NO_ALIAS:
                alias = AliasName(adapter.tenant, adapter.id, stored.alias_id)
                before = shelf.find_alias(connection, alias)
                ended = str(before.canary.revision) if before is not None and before.canary is not None else ""
                shelf.set_alias(connection, alias, RevisionName.parse(named.name), "", now)
            done = stored.move(
                JobState.SUCCEEDED, now, revision=named.name, evaluation=result.evaluation, ended_canary=ended
            )
            history.save_job(connection, done)
            history.record(connection, done, now)
            return done, alias

        done, alias = await self._database.run(work)
        if alias is not None:
            write_audit(method="TrainingJob", identity=None, resource=str(alias), outcome="OK", job=job)
        if done.ended_canary:
            seen = {"alias": str(alias), "canary": done.ended_canary, "revision": done.revision, "job": job}
            _log.warning("canary ended by a training job", extra=seen)

    def _store(self, folder: RunFolder, digest: str) -> tuple[AdapterManifest, tuple[PackageFile, ...]]:
        manifest = read_package(folder.package, digest)
        names = [MANIFEST_NAME, *(file.filename for file in manifest.files)]
        files = []
        for name in names:
            path = folder.package / name
            files.append(PackageFile(name, path.stat().st_size, self._blobs.put_file(path)))
        if self._signer is not None:
            signature = self._signer.sign(digest).to_json()
            files.append(PackageFile(SIGNATURE_NAME, len(signature), self._blobs.put_bytes(signature)))
        return manifest, tuple(files)
