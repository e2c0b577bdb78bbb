"""What runs and calibrations took, in the database. Every function works inside the caller's transaction."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from trainer_svc.domain.estimate import Usage
from trainer_svc.domain.recipe import RECIPE_VERSION
from trainer_svc.domain.run import TrainingMode
from trainer_svc.domain.servability import ServabilityMode
from trainer_svc.store.codec import dump, load
from trainer_svc.store.table import calibrations

KEPT_RUNS = 20
"""Of each base, mode and number of threads: enough for a median, and a machine that changed is forgotten in a week. As
many calibrations of each tenant are kept beside them: whoever asks for many drives out no other's, and no run."""


def add_usage(connection: Connection, usage: Usage) -> None:
    """Keeps what a run or a calibration took, and the newest `KEPT_RUNS` like it."""
    values = {"base_model_digest": usage.base_model_digest, "mode": usage.mode.value, "threads": usage.threads}
    connection.execute(insert(calibrations).values(**values, body=dump(usage)))
    newest = select(calibrations.c.number, calibrations.c.body).filter_by(**values).order_by(calibrations.c.number)
    alike = [row.number for row in connection.execute(newest) if _owner(load(Usage, row.body)) == _owner(usage)]
    connection.execute(delete(calibrations).where(calibrations.c.number.in_(alike[:-KEPT_RUNS])))


def list_usages(connection: Connection, base_model_digest: str, mode: TrainingMode, threads: int) -> list[Usage]:
    """Runs and calibrations of this training code that are kept, oldest first.

    Only those on the newest's device, whose answers the same engine gave.
    """
    values = {"base_model_digest": base_model_digest, "mode": mode.value, "threads": threads}
    query = select(calibrations.c.body).filter_by(**values).order_by(calibrations.c.number)
    found = [load(Usage, body) for body in connection.execute(query).scalars()]
    present = [usage for usage in found if usage.recipe_version == RECIPE_VERSION]
    return [usage for usage in present if _way(usage) == _way(present[-1])]


def _way(usage: Usage) -> tuple[str, ServabilityMode]:
    return usage.device, usage.servability_proof


def _owner(usage: Usage) -> str | None:
    """The tenant whose calibration it is; None of a run."""
    return None if usage.calibration is None else usage.calibration.tenant
