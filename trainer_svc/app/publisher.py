"""Publishes the package of a finished run: blobs first, then everything else in one transaction."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from datetime import datetime

from sqlalchemy import Connection

from shared.adapter.canary import CanarySplit
from shared.adapter.manifest import AdapterManifest, PackageFile
from shared.adapter.package import MANIFEST_NAME, SIGNATURE_NAME, read_package
from shared.adapter.signature import Signer
from shared.clock import Clock
from shared.names import AdapterName, AliasName, JobName, RevisionName
from shared.rpc.access.audit import write_audit
from shared.storage.base import BlobStore
from trainer_svc.app.promotion_gate import PromotionGate, Target
from trainer_svc.domain.job import Job, JobState
from trainer_svc.domain.promotion_policy import PromotionMode, PromotionPolicy
from trainer_svc.domain.promotion_record import Actor, Cause, PromotionWay
from trainer_svc.domain.registry import NO_ALIAS, Alias, Revision
from trainer_svc.domain.run import RunFolder
from trainer_svc.domain.run_result import RunResult
from trainer_svc.store import history, promotion_log, shelf
from trainer_svc.store.database import Database

_log = logging.getLogger(__name__)


class Publisher:
    """Makes a run's package the next revision of its adapter, and promotes it where the adapter's policy lets it.

    Signed where there is a key, which no worker ever has.
    """

    def __init__(
        self, database: Database, blobs: BlobStore, clock: Clock, gate: PromotionGate, signer: Signer | None = None
    ) -> None:
        self._database, self._blobs, self._clock, self._gate, self._signer = database, blobs, clock, gate, signer

    async def publish(self, job: str, folder: RunFolder) -> None:
        """Publishes once: revision, alias and the job's end are one transaction, so a crash leaves all or nothing.

        A revision that the policy stops is published all the same, and its job succeeds; it says why the alias stayed.
        The trial of a canary that gives way is over then, as it is when a caller sets an alias without one; the job,
        the log and the audit log say so.
        """
        result = RunResult.from_json(folder.result.read_bytes())
        manifest, files = await asyncio.to_thread(self._store, folder, result.manifest_digest)
        evaluation = await asyncio.to_thread(self._blobs.put_file, folder.evaluation)
        rows = await asyncio.to_thread(self._blobs.put_file, folder.evaluated_rows)

        def work(connection: Connection) -> tuple[Job, Alias | None]:
            now, stored = self._clock.now(), history.get_job(connection, JobName.parse(job))
            revision = Revision(
                name=str(shelf.next_revision(connection, AdapterName.parse(stored.adapter))),
                digest=result.manifest_digest,
                files=files,
                training_job=job,
                contract=manifest.contract_name,
                base_model_digest=manifest.base_model_digest,
                create_time=now,
                metrics=dict(manifest.metrics),
                evidence=result.evidence,
                evaluated_rows_digest=rows,
            )
            published, alias, ended = self._promote(connection, stored, revision, now)
            done = stored.move(
                JobState.SUCCEEDED, now, revision=published.name, evaluation=result.evaluation, ended_canary=ended,
                promotion=published.report, evaluation_digest=evaluation, evaluated_rows_digest=rows,
            )  # fmt: skip
            history.save_job(connection, done)
            history.record(connection, done, now)
            return done, alias

        _tell(*await self._database.run(work))

    def _promote(
        self, connection: Connection, job: Job, revision: Revision, now: datetime
    ) -> tuple[Revision, Alias | None, str]:
        """The published revision with its report, its alias where that moved, and the canary that gave way."""
        adapter, name = AdapterName.parse(job.adapter), _alias_of(job)
        if name is None:
            return shelf.add_revision(connection, adapter, revision), None, ""
        report, before = self._gate.report(connection, revision, name), shelf.find_alias(connection, name)
        published = shelf.add_revision(connection, adapter, dataclasses.replace(revision, report=report))
        target = _target(promotion_log.get_policy(connection, adapter).policy, published, before)
        if target is None:
            return published, None, ""
        cause = Cause(PromotionWay.TRAINING_JOB, Actor(job=job.name), report=report)
        alias = self._gate.move(connection, name, target, "", cause=cause, now=now)
        ended = str(before.canary.revision) if before is not None and before.canary is not None else ""
        return published, alias, ended

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


def _alias_of(job: Job) -> AliasName | None:
    """The alias that it deploys to."""
    adapter = AdapterName.parse(job.adapter)
    return AliasName(adapter.tenant, adapter.id, job.alias_id) if job.alias_id != NO_ALIAS else None


def _target(policy: PromotionPolicy, revision: Revision, before: Alias | None) -> Target | None:
    """What the alias shall mean now; None where it stays as it is."""
    if revision.report is None or not revision.report.passed or policy.mode is PromotionMode.MANUAL:
        return None
    own = RevisionName.parse(revision.name)
    if policy.mode is PromotionMode.CANARY and before is not None:
        split = CanarySplit(own, policy.effective_canary_percent, policy.effective_rollback)
        return Target(RevisionName.parse(before.revision), split)
    return Target(own)


def _tell(job: Job, alias: Alias | None) -> None:
    """Writes what became of the revision into the logs."""
    if job.promotion is None:
        return
    name = str(_alias_of(job))
    if alias is not None or not job.promotion.passed:
        outcome = "OK" if alias is not None else "FAILED_PRECONDITION"
        write_audit(method="TrainingJob", identity=None, resource=name, outcome=outcome, job=job.name)
    if not job.promotion.passed:
        reasons = [str(check.reason) for check in job.promotion.stopping]
        seen = {"alias": name, "revision": job.revision, "job": job.name, "reasons": reasons}
        _log.warning("revision not promoted", extra=seen)
    if job.ended_canary:
        seen = {"alias": name, "canary": job.ended_canary, "revision": job.revision, "job": job.name}
        _log.warning("canary ended by a training job", extra=seen)
