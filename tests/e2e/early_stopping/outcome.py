"""What a run learns from, and what it leaves."""

from __future__ import annotations

from contextlib import closing

from shared.adapter.package import WEIGHTS_NAME
from shared.digest import sha256_file
from tests.e2e.training_sample import events_of
from trainer_svc.domain.run import RunFolder, RunSpec
from trainer_svc.engine.journal import Journal
from trainer_svc.engine.preparation import Prepared, prepare


def weights_of(folder: RunFolder) -> str:
    """Their digest, of the package."""
    return sha256_file(folder.package / WEIGHTS_NAME)


def steps_of(folder: RunFolder) -> list[int]:
    """Those that its progress was told of, in order."""
    return [event["step"] for event in events_of(folder, "progress")]


def prepared(folder: RunFolder) -> Prepared:
    """Its rows as the engine would learn and validate them."""
    with closing(Journal(folder.events)) as journal:
        return prepare(RunSpec.from_json(folder.spec.read_bytes()), folder, journal)
