"""Presets of the recipe on the shipped base model: what each takes and what its adapter answers on held-out rows.

`python -m tests.bench presets`; about half an hour on two cores. `invoices` is generated, `restaurants` is Snips
BookRestaurant, where the real golden datasets are there; 250 rows to train on and 100 held out of each, one seed, one
thread a run, the sets side by side: seconds compare presets of one set, and no more.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.quickstart.invoices import invoices
from deploy.quickstart.real_data import real_tenants
from deploy.quickstart.tenant import DemoTenant, GoldenRow
from shared.adapter.package import read_package
from shared.contracts.check import canonicalise
from tests.bench.gate_set import DATA
from tests.bench.result import Figures, report
from tests.bench.train_material import BASE
from trainer_svc.curation.row_file import dump_rows
from trainer_svc.domain.dataset import CheckedRow
from trainer_svc.domain.run import Preset, RunFolder, RunSpec
from trainer_svc.domain.run_result import RunResult

_TRAIN_ROWS, _HOLDOUT_ROWS, _SEED = 250, 100, 0
_COLUMNS = ("seconds", "field_f1", "exact_match", "holdout_loss", "step_count", "steps_taken", "best_step")


def measure(tenants: Sequence[DemoTenant], folder: Path) -> Figures:
    """By set and preset."""
    with ThreadPoolExecutor(len(tenants)) as pool:
        parts = list(pool.map(lambda tenant: _measure_tenant(tenant, folder), tenants))
    return {key: value for part in parts for key, value in part.items()}


def _measure_tenant(tenant: DemoTenant, folder: Path) -> Figures:
    figures: Figures = {}
    for preset in Preset:
        found = _train(tenant, preset, folder)
        sys.stderr.write(f"{tenant.id} {preset}: {found}\n")
        figures |= {f"{tenant.id}_{preset}_{name}": value for name, value in found.items()}
    return figures


def _train(tenant: DemoTenant, preset: Preset, folder: Path) -> Figures:
    run = RunFolder(folder / f"{tenant.id}-{preset}")
    _write(run, tenant, preset, folder)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
    begin = time.perf_counter()
    command = [sys.executable, "-m", "trainer_svc.worker", str(run.path)]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    seconds = time.perf_counter() - begin
    evaluation = RunResult.from_json(run.result.read_bytes()).evaluation
    last = [body for body in map(json.loads, run.events.read_text().splitlines()) if body["type"] == "progress"][-1]
    training = read_package(run.package).training
    return {
        "seconds": seconds,
        "field_f1": evaluation.field_f1,
        "exact_match": evaluation.exact_match,
        "holdout_loss": evaluation.holdout_loss,
        "step_count": last["step_count"],
        "steps_taken": last["step"],
        "best_step": training.get("best_step", last["step_count"]),
    }


def _write(run: RunFolder, tenant: DemoTenant, preset: Preset, folder: Path) -> None:
    """As the service would."""
    spec = RunSpec(
        job="tenants/bench/jobs/preset", base_model_dir=str(BASE), contract_name="tenants/bench/contracts/answer",
        contract=tenant.spec.canonical().decode(), contract_cache_dir=str(folder / "contracts"),
        dataset_digest="sha256:" + "0" * 64, seed=_SEED, preset=preset,
    )  # fmt: skip
    run.path.mkdir(parents=True)
    run.spec.write_bytes(spec.to_json())
    for path, rows in ((run.train_rows, tenant.train), (run.holdout_rows, tenant.holdout)):
        path.write_bytes(dump_rows(_checked(tenant, rows)))


def _checked(tenant: DemoTenant, rows: Sequence[GoldenRow]) -> list[CheckedRow]:
    pairs = enumerate(rows, 1)
    return [CheckedRow(number, row.input, canonicalise(tenant.spec, row.output)) for number, row in pairs]


def _tenants() -> list[DemoTenant]:
    real = [dataclasses.replace(tenant, train=tenant.train[:_TRAIN_ROWS], holdout=tenant.holdout[:_HOLDOUT_ROWS])
            for tenant in (real_tenants(DATA) if DATA.is_dir() else []) if tenant.id == "restaurants"]  # fmt: skip
    return [dataclasses.replace(invoices(_TRAIN_ROWS, _HOLDOUT_ROWS), id="invoices"), *real]


def main() -> None:
    """Prints a table; build/bench/presets.json has the figures."""
    tenants = _tenants()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(tenants, Path(folder))
    table = Table("set", "preset", *_COLUMNS, title="presets")
    for tenant in tenants:
        for preset in Preset:
            values = [figures[f"{tenant.id}_{preset}_{name}"] for name in _COLUMNS]
            table.add_row(tenant.id, preset.value, *(f"{value:.4g}" for value in values))
    Console(width=140).print(table)
    report("presets", figures)


if __name__ == "__main__":
    main()
