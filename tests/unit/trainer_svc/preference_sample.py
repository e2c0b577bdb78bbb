"""Two revisions of one adapter whose jobs answered the same held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from shared.names import AdapterName
from shared.storage.base import BlobStore
from tests.unit.trainer_svc.evaluation_sample import RIGHT, WRONG, row
from trainer_svc.domain.evaluation import EvaluatedRow, ScoredAnswer
from trainer_svc.domain.job import Job, JobSpec, JobState
from trainer_svc.domain.preference import PreferencePair, PreferenceStudy
from trainer_svc.domain.registry import Revision
from trainer_svc.store import history, shelf
from trainer_svc.store.codec import dump

ADAPTER = AdapterName("acme", "a")
STUDY = f"{ADAPTER}/preferenceStudies/first"
_ZERO = "sha256:" + "0" * 64


def answered(texts: Sequence[str], *, is_exact: bool = False) -> list[EvaluatedRow]:
    """Held-out rows from 1 with these answers of an adapter."""
    score = RIGHT if is_exact else WRONG
    return [row(number, adapter=ScoredAnswer(text, score)) for number, text in enumerate(texts, start=1)]


def published(connection: Connection, blobs: BlobStore, rows: Sequence[EvaluatedRow], now: datetime, job: str) -> str:
    """The name of a revision that a job made which answered these rows; one of no rows stored none."""
    digest = blobs.put_bytes(b"".join(dump(one).encode() + b"\n" for one in rows)) if rows else ""
    name = f"tenants/acme/jobs/{job}"
    done = Job(
        name, f"tenants/acme/datasets/{job}", str(ADAPTER), "live", JobSpec(), now, state=JobState.SUCCEEDED,
        evaluation_digest=digest, evaluated_rows_digest=digest,
    )  # fmt: skip
    history.add_job(connection, done)
    return shelf.add_revision(connection, ADAPTER, Revision("", _ZERO, (), name, "c", _ZERO, now)).name


def wanted(now: datetime, name: str = STUDY, *, max_pairs: int = 50, seed: int = 0) -> PreferenceStudy:
    """What a caller asks for: revision 2 over revision 1."""
    return PreferenceStudy(name, f"{ADAPTER}/revisions/1", f"{ADAPTER}/revisions/2", max_pairs, seed, now)


def pair(number: int, *, is_a_left: bool = True) -> PreferencePair:
    """A pair whose texts tell which is which."""
    return PreferencePair(f"{number:016x}", f"input {number}", f"a{number}", f"b{number}", is_a_left)
