"""Preference studies as tenants see them: create, look, take verdicts, close."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import secrets
from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from shared.clock import Clock
from shared.digest import sha256_bytes
from shared.errors import Exhausted, FieldViolation, InvalidInput, StateConflict
from shared.names import AdapterName, JobName, PreferenceStudyName, RevisionName, invalid_field
from shared.rpc.page import Page
from shared.storage.base import BlobStore
from trainer_svc.app.line_page import take_lines
from trainer_svc.domain.evaluation import EvaluatedRow
from trainer_svc.domain.job import Job
from trainer_svc.domain.preference import (
    MAX_PAIRS,
    MAX_REVIEWERS,
    PreferencePair,
    PreferenceStudy,
    PreferenceVerdict,
    Progress,
    revision_preferences,
)
from trainer_svc.domain.preference_draw import CommonRows, common_rows, draw_pairs
from trainer_svc.evaluation.preference import preference_result
from trainer_svc.store import catalog, history, preference, shelf
from trainer_svc.store.codec import dump, load
from trainer_svc.store.database import Database

_SECRET_BYTES = 32


def _draw_secret() -> bytes:
    return secrets.token_bytes(_SECRET_BYTES)


class PreferenceStudies:
    """Blind comparisons of two revisions by people."""

    def __init__(
        self, database: Database, blobs: BlobStore, clock: Clock, *, draw_secret: Callable[[], bytes] = _draw_secret
    ) -> None:
        self._database, self._blobs, self._clock, self._draw_secret = database, blobs, clock, draw_secret

    async def create(self, study: PreferenceStudy, request_id: str) -> tuple[PreferenceStudy, Progress]:
        """Draws the pairs of a study that gives name, revisions, `max_pairs`, seed and time, and stores both.

        Raises:
            InvalidInput: a setting is out of range, or a revision is another adapter's.
            NotFound: a revision does not exist.
            StateConflict: NOT_EVALUATED, or both revisions answered all common rows alike.
            AlreadyExists: the id is taken.
        """
        name = PreferenceStudyName.parse(study.name)
        names = _revisions(study, name.adapter_name)
        if not 1 <= study.max_pairs <= MAX_PAIRS:
            raise invalid_field("study.max_pairs", f"must be 1 to {MAX_PAIRS}, or 0 for 50, got {study.max_pairs}")
        settings = [study.name, study.revision_a, study.revision_b, study.max_pairs, study.seed]
        payload = sha256_bytes(json.dumps(settings).encode())
        drawn = study
        if await self._database.run(lambda c: preference.find_study(c, name)) is None:
            drawn = await self._drawn(study, names)

        def work(connection: Connection) -> PreferenceStudy:
            if catalog.repeated(connection, name.tenant, "CreatePreferenceStudy", request_id, payload):
                return preference.get_study(connection, name)
            preference.add_study(connection, drawn)
            return drawn

        return await self._with_progress(await self._database.run(work))

    async def get(self, name: PreferenceStudyName) -> tuple[PreferenceStudy, Progress]:
        """A study and how far it is. Raises `NotFound`."""
        return await self._with_progress(await self._database.run(lambda c: preference.get_study(c, name)))

    async def page(self, parent: AdapterName, page: Page) -> tuple[list[tuple[PreferenceStudy, Progress]], str]:
        """One page by id, and the token of the next."""
        found, token = await self._database.run(lambda c: preference.list_studies(c, parent, page))
        return [await self._with_progress(study) for study in found], token

    async def pairs(self, name: PreferenceStudyName, page: Page) -> tuple[list[PreferencePair], str]:
        """One page of what reviewers see, and the token of the next. Raises `NotFound`."""
        study = await self._database.run(lambda c: preference.get_study(c, name))
        taken, token = take_lines(await asyncio.to_thread(self._blobs.read, study.pairs_digest), page)
        return [load(PreferencePair, line.decode()) for line in taken], token

    async def submit(
        self, name: PreferenceStudyName, verdicts: Sequence[PreferenceVerdict]
    ) -> tuple[PreferenceStudy, Progress]:
        """Stores verdicts, all or none.

        Raises:
            NotFound: no such study.
            InvalidInput: a pair is not the study's.
            StateConflict: the study is closed.
            Exhausted: too many reviewers.
        """
        study = await self._database.run(lambda c: preference.get_study(c, name))
        known = {pair.id for pair in await asyncio.to_thread(self._read_pairs, study)}
        foreign = [
            FieldViolation(f"verdicts[{place}].pair", f"{verdict.pair[:40]!r} is not a pair of {name}")
            for place, verdict in enumerate(verdicts)
            if verdict.pair not in known
        ]
        if foreign:
            raise InvalidInput(
                "FIELD_INVALID", f"{len(foreign)} verdicts are not on pairs of {name}", violations=foreign
            )

        def work(connection: Connection) -> PreferenceStudy:
            stored = preference.get_study(connection, name)
            if stored.result is not None:
                raise StateConflict("STATE_CONFLICT", f"{name} is closed and takes no more verdicts")
            preference.put_verdicts(connection, name, verdicts)
            if len(preference.progress(connection, name).verdict_counts) > MAX_REVIEWERS:
                raise Exhausted(
                    "QUOTA_EXCEEDED",
                    f"{name} has {MAX_REVIEWERS} reviewers already",
                    metadata={"quota": "reviewers", "limit": str(MAX_REVIEWERS)},
                )
            return stored

        return await self._with_progress(await self._database.run(work))

    async def close(self, name: PreferenceStudyName) -> tuple[PreferenceStudy, Progress]:
        """Ends a study, and adds what came out to both revisions; one that is closed stays. Raises `NotFound`."""
        study = await self._database.run(lambda c: preference.get_study(c, name))
        pairs = await asyncio.to_thread(self._read_pairs, study)

        def work(connection: Connection) -> PreferenceStudy:
            stored = preference.get_study(connection, name)
            if stored.result is not None:
                return stored
            result = preference_result(pairs, preference.list_verdicts(connection, name))
            closed = dataclasses.replace(stored, close_time=self._clock.now(), result=result)
            preference.save_study(connection, closed)
            of_a, of_b = revision_preferences(closed)
            shelf.add_preference(connection, RevisionName.parse(closed.revision_a), of_a)
            shelf.add_preference(connection, RevisionName.parse(closed.revision_b), of_b)
            return closed

        return await self._with_progress(await self._database.run(work))

    async def _with_progress(self, study: PreferenceStudy) -> tuple[PreferenceStudy, Progress]:
        name = PreferenceStudyName.parse(study.name)
        return study, await self._database.run(lambda c: preference.progress(c, name))

    async def _drawn(self, study: PreferenceStudy, names: Sequence[RevisionName]) -> PreferenceStudy:
        jobs = [await self._evaluated(name) for name in names]
        rows = await asyncio.to_thread(lambda: common_rows(*map(self._read_rows, jobs)))
        _check_comparable(rows, jobs)
        pairs = draw_pairs(rows, study.max_pairs, study.seed, self._draw_secret())
        data = b"".join(dump(pair).encode() + b"\n" for pair in pairs)
        return dataclasses.replace(
            study,
            common_row_count=rows.count,
            equal_row_count=rows.equal_count,
            pair_count=len(pairs),
            pairs_digest=await asyncio.to_thread(self._blobs.put_bytes, data),
        )

    async def _evaluated(self, revision: RevisionName) -> Job:
        def work(connection: Connection) -> tuple[str, Job | None]:
            made_by = shelf.get_revision(connection, revision).training_job
            return made_by, history.find_job(connection, JobName.parse(made_by, "training_job"))

        made_by, job = await self._database.run(work)
        if job is None or not job.evaluated_rows_digest:
            raise StateConflict(
                "NOT_EVALUATED",
                f"{revision} has no stored answers: {made_by} kept none",
                hint=f"run a training job like {made_by} again, and compare the revision that it publishes",
                metadata={"revision": str(revision), "job": made_by},
            )
        return job

    def _read_rows(self, job: Job) -> list[EvaluatedRow]:
        lines = self._blobs.read(job.evaluated_rows_digest).splitlines()
        return [load(EvaluatedRow, line.decode()) for line in lines]

    def _read_pairs(self, study: PreferenceStudy) -> list[PreferencePair]:
        return [load(PreferencePair, line.decode()) for line in self._blobs.read(study.pairs_digest).splitlines()]


def _revisions(study: PreferenceStudy, adapter: AdapterName) -> list[RevisionName]:
    names = []
    for field in ("revision_a", "revision_b"):
        name = RevisionName.parse(getattr(study, field), f"study.{field}")
        if name.adapter_name != adapter:
            raise invalid_field(f"study.{field}", f"is not a revision of {adapter}")
        names.append(name)
    if names[0] == names[1]:
        raise invalid_field("study.revision_b", "is revision_a, too: a study compares two")
    return names


def _check_comparable(rows: CommonRows, jobs: Sequence[Job]) -> None:
    if not rows.count:
        job_a, job_b = jobs
        raise StateConflict(
            "NOT_EVALUATED",
            f"{job_a.name} and {job_b.name} have no held-out row in common",
            hint=f"train on {job_a.dataset} again instead of {job_b.dataset}, and compare that job's revision",
            metadata={"job": job_b.name, "dataset": job_a.dataset},
        )
    if not rows.different:
        raise StateConflict(
            "STATE_CONFLICT",
            f"both revisions answered all {rows.count} common rows alike: there is nothing to review",
            metadata={"common_row_count": str(rows.count)},
        )
