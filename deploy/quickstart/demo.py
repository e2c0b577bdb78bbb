"""`python -m deploy.quickstart.demo`: golden datasets in, adapters out, guaranteed answers, and a table.

Two services on loopback, real training, a real vLLM engine. `--data FOLDER` uses real golden datasets in place of the
generated ones. Writes the table to build/demo.json too.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from deploy.quickstart.invoices import invoices
from deploy.quickstart.measure import Meter, Run, Tally
from deploy.quickstart.real_data import real_tenants
from deploy.quickstart.sales import sales
from deploy.quickstart.service_process import ServiceProcess
from deploy.quickstart.tenant import DemoTenant
from goldsmith.inference.v1 import inference_service_pb2
from goldsmith.trainer.v1 import golden_dataset_pb2, training_job_pb2
from shared.client import InferenceClient, TrainerClient

BASE_MODEL = Path(__file__).parents[1] / "base_model" / "weights"
REPORT = Path("build/demo.json")
_LIVE_SECONDS = 60.0
_MIN_ADAPTER_REQUESTS = 300
_SPECIAL_REQUESTS = 50
_BASELINE_ROWS = 100
"""The base model with a 1,000-token prompt is slow and gets almost nothing right: 100 rows say so."""


def main(argv: list[str] | None = None) -> int:
    """Runs the demo; 0 when every adapter beats its base, nothing failed and nothing was invalid."""
    parser = argparse.ArgumentParser(prog="goldsmith-demo", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of real golden datasets")
    arguments = parser.parse_args(argv)
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    console = Console()
    tenants = real_tenants(arguments.data) if arguments.data else [invoices(), sales()]
    with TemporaryDirectory(prefix="goldsmith-demo-") as folder:
        rows = _run(console, tenants, Path(folder))
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(rows, indent=1) + "\n")
    console.print(_table(rows))
    console.print(f"written to {REPORT}")
    return 0 if all(_is_good(row) for row in rows) else 1


def _run(console: Console, tenants: list[DemoTenant], folder: Path) -> list[dict[str, object]]:
    logs = Path("build/logs")
    trainer = ServiceProcess(
        "trainer_svc",
        {
            "data-dir": str(folder / "trainer"),
            "base-model-dir": str(BASE_MODEL),
            "listen": "127.0.0.1:0",
            "insecure-loopback": "true",
            "training-threads": "2",
        },
        logs / "trainer.log",
    )
    with trainer:
        trainer_address = trainer.wait_ready()
        inference = ServiceProcess(
            "inference_svc",
            {
                "data-dir": str(folder / "inference"),
                "base-model-dir": str(BASE_MODEL),
                "registry": trainer_address,
                "listen": "127.0.0.1:0",
                "insecure-loopback": "true",
                "threads": "2",
            },
            logs / "inference.log",
        )
        with inference:
            begin = time.monotonic()
            with console.status("starting the vLLM engine (about half a minute)"):
                inference_address = inference.wait_ready()
            console.print(
                f"trainer on {trainer_address}, inference on {inference_address} "
                f"({time.monotonic() - begin:.0f} s to start)"
            )
            with TrainerClient(trainer_address) as train, InferenceClient(inference_address) as infer:
                seconds = {tenant.id: _train(console, train, infer, tenant) for tenant in tenants}
                rows = [_measure(console, infer, tenant, seconds[tenant.id]) for tenant in tenants]
        if inference.process.returncode != 0:
            console.print(f"inference service ended with status {inference.process.returncode}", style="red")
    return rows


def _train(console: Console, trainer: TrainerClient, inference: InferenceClient, tenant: DemoTenant) -> float:
    """Uploads, trains and waits until the adapter is live in the running engine; returns the training seconds."""
    parent = f"tenants/{tenant.id}"
    contract = trainer.create_contract(
        f"{parent}/contracts/answer", **{"json_schema" if tenant.kind == "json" else "ddl": tenant.schema}
    )
    console.print(
        f"[bold]{tenant.id}[/]: contract of {contract.report.state_count} states, "
        f"at least {contract.report.min_output_tokens} output tokens"
    )
    dataset = golden_dataset_pb2.GoldenDataset(
        contract=contract.name, instruction_prompt=tenant.instruction_prompt, database_sql=tenant.database_sql
    )
    name = trainer.create_dataset(f"{parent}/datasets/golden", dataset).name
    # Real golden data holds rows that no contract covers: they are left out by number, never silently.
    sealed = trainer.upload(name, tenant.upload(), golden_dataset_pb2.INVALID_ROW_POLICY_EXCLUDE)
    report = sealed.report
    console.print(
        f"  {report.row_count} rows: {report.train_count} to train on, {report.holdout_count} held out, "
        f"{report.invalid_count} outside the contract"
    )
    job = trainer.train(
        f"{parent}/jobs/first", training_job_pb2.TrainingJob(dataset=name, adapter=f"{parent}/adapters/answer")
    )
    done = _follow(console, trainer, job.name)
    if done.state != training_job_pb2.TRAINING_JOB_STATE_SUCCEEDED:
        raise SystemExit(f"{job.name} ended as {done.state}: {done.failure.reason} {done.failure.message}")
    begin = time.monotonic()
    while not _is_live(inference, parent, done.revision):
        if time.monotonic() - begin > _LIVE_SECONDS:
            raise SystemExit(f"{done.revision} is not live after {_LIVE_SECONDS} s, see build/logs/inference.log")
        time.sleep(0.1)
    console.print(f"  {done.revision} live {time.monotonic() - begin:.1f} s after its job ended")
    return (done.end_time.ToDatetime() - done.start_time.ToDatetime()).total_seconds()


def _follow(console: Console, trainer: TrainerClient, job: str) -> training_job_pb2.TrainingJob:
    columns = (TextColumn("  {task.description}"), BarColumn(), TextColumn("{task.fields[loss]}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("queued", total=None, loss="")
        for event in trainer.watch(job):
            if event.HasField("progress"):
                numbers = event.progress
                progress.update(
                    task, total=numbers.step_count, completed=numbers.step, loss=f"loss {numbers.train_loss:.3f}"
                )
            elif event.HasField("changed") and event.changed.phase:
                phase = training_job_pb2.TrainingPhase.Name(event.changed.phase)
                progress.update(task, description=phase.removeprefix("TRAINING_PHASE_").lower())
    return trainer.job(job)


def _is_live(inference: InferenceClient, parent: str, revision: str) -> bool:
    live = inference_service_pb2.RESIDENT_ADAPTER_STATE_LIVE
    found = {adapter.revision: adapter for adapter in inference.resident_adapters(parent)}
    if revision in found and found[revision].rejection:
        raise SystemExit(f"{revision} was rejected: {found[revision].rejection}")
    return revision in found and found[revision].state == live


def _measure(console: Console, client: InferenceClient, tenant: DemoTenant, seconds: float) -> dict[str, object]:
    adapter, contract = f"tenants/{tenant.id}/adapters/answer", f"tenants/{tenant.id}/contracts/answer"
    tally, base_tally = Tally(), Tally()
    with console.status(f"measuring {tenant.id}: base model with its instruction prompt"):
        base = Meter(client, tenant, base_tally).run(
            tenant.holdout[:_BASELINE_ROWS], "", contract=contract, instructions=tenant.instruction_prompt
        )
    meter = Meter(client, tenant, tally)
    with console.status(f"measuring {tenant.id}: adapter"):
        run = meter.run(tenant.holdout, adapter)
        minimum = meter.minimum(tenant.holdout[0], adapter)
        meter.stress(tenant.holdout, adapter, _SPECIAL_REQUESTS, max_output_tokens=minimum)
        meter.stress(tenant.holdout, adapter, _SPECIAL_REQUESTS, temperature=1.0)
        meter.stress(tenant.train, adapter, max(0, _MIN_ADAPTER_REQUESTS - tally.requests))
    for failures in (tally.failures, base_tally.failures):
        if failures:
            console.print(f"  failed requests: {dict(failures)}", style="red")
    return _row(tenant, seconds, (base, run), (base_tally, tally))


def _row(tenant: DemoTenant, seconds: float, runs: tuple[Run, Run], tallies: tuple[Tally, Tally]) -> dict[str, object]:
    base, adapter = runs
    return {
        "tenant": tenant.id,
        "kind": tenant.kind.value,
        "golden_examples": len(tenant.train),
        "train_seconds": round(seconds, 1),
        "base_exact_match": round(base.metrics.exact_match.value, 4),
        "adapter_exact_match": round(adapter.metrics.exact_match.value, 4),
        "base_f1": round(base.metrics.field_f1.value, 4),
        "adapter_f1": round(adapter.metrics.field_f1.value, 4),
        "base_prompt_tokens": round(base.prompt_tokens, 1),
        "adapter_prompt_tokens": round(adapter.prompt_tokens, 1),
        "base_latency_p50_ms": round(base.latency_p50_ms, 1),
        "adapter_latency_p50_ms": round(adapter.latency_p50_ms, 1),
        "requests": sum(tally.requests for tally in tallies),
        "invalid_outputs": sum(tally.invalid for tally in tallies),
        "failed_requests": sum(tally.failed for tally in tallies),
    }


def _is_good(row: dict[str, object]) -> bool:
    better = float(str(row["adapter_exact_match"])) > float(str(row["base_exact_match"]))
    return better and row["invalid_outputs"] == 0 and row["failed_requests"] == 0


def _table(rows: list[dict[str, object]]) -> Table:
    table = Table(title="Goldsmith: base model + instructions against adapter without them")
    table.add_column("")
    for row in rows:
        table.add_column(str(row["tenant"]), justify="right")
    for key in list(rows[0])[1:]:
        table.add_row(key.replace("_", " "), *(str(row[key]) for row in rows))
    return table


if __name__ == "__main__":
    sys.exit(main())
