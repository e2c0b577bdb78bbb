"""A training job's child process, as tests start it: its folder, its events, its death."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from shared.base_model import BaseModel
from tests.e2e.training_sample import CONTRACT, rows
from trainer_svc.domain.dataset import CheckedRow
from trainer_svc.domain.run import EXIT_DONE, RunFolder, RunSpec
from trainer_svc.engine.journal import Journal
from trainer_svc.engine.pipeline import run


def write_run(path: Path, base: BaseModel, train: Sequence[CheckedRow] = (), **settings: Any) -> RunFolder:
    """Writes a run's folder as the service would."""
    folder = RunFolder(path)
    folder.path.mkdir()
    spec = RunSpec(
        job="tenants/acme/jobs/test",
        contract_name="tenants/acme/contracts/answer",
        contract_cache_dir=str(path.parent / "contracts"),
        dataset_digest="sha256:" + "0" * 64,
        instruction_prompt="Answer with JSON.",
        **{
            "base_model_dir": str(base.folder),
            "contract": CONTRACT.canonical().decode(),
            "epoch_count": 3,
            "rank": 4,
            **settings,
        },
    )
    folder.spec.write_bytes(spec.to_json())
    for file, part in ((folder.train_rows, train or rows(160)), (folder.holdout_rows, rows(9))):
        lines = (json.dumps({"row": r.row, "input": r.input, "output": r.output}) for r in part)
        file.write_text("\n".join(lines) + "\n")
    return folder


def start(folder: RunFolder, *flags: str) -> subprocess.Popen[bytes]:
    """The child, on one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
    with (folder.path / "log").open("ab") as log:
        command = [sys.executable, "-m", "trainer_svc.worker", str(folder.path), *flags]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def finish(folder: RunFolder) -> None:
    """Runs the child to its good end."""
    assert start(folder).wait() == EXIT_DONE, (folder.path / "log").read_text()[-2000:]


def run_here(folder: RunFolder, is_cancelled: Callable[[], bool] = lambda: False) -> None:
    """The run in this process, which saves importing torch again."""
    with closing(Journal(folder.events)) as journal:
        run(RunSpec.from_json(folder.spec.read_bytes()), folder, journal, is_cancelled)


def events(folder: RunFolder, kind: str) -> list[dict[str, Any]]:
    """What it told of a kind, without a line that is being written."""
    lines = folder.events.read_bytes().split(b"\n")[:-1] if folder.events.exists() else []
    return [event for event in map(json.loads, lines) if event["type"] == kind]


def wait_for_checkpoints(folder: RunFolder, process: subprocess.Popen[bytes], count: int) -> None:
    """Returns once so many were told of, by all attempts together."""
    while len(events(folder, "checkpoint")) < count:
        assert process.poll() is None, (folder.path / "log").read_text()[-2000:]
        time.sleep(0.02)
