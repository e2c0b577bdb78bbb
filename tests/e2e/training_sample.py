"""A tiny task for the training engine: a two-layer Llama with random weights, a contract, rows and a run of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from shared.base_model import BaseModel
from shared.contracts.spec import ContractKind, ContractSpec
from tests.conftest import write_tiny_base
from trainer_svc.domain.dataset import CheckedRow
from trainer_svc.domain.run import EXIT_DONE, RunFolder, RunSpec
from trainer_svc.engine.journal import Journal
from trainer_svc.engine.pipeline import run

CONTRACT = ContractSpec(
    ContractKind.JSON,
    json_schema=json.dumps(
        {
            "type": "object",
            "properties": {
                "city": {"enum": ["Rome", "Oslo", "Lima"]},
                "count": {"type": "integer", "minimum": 0, "maximum": 99},
            },
            "required": ["city", "count"],
            "additionalProperties": False,
        }
    ),
)


def tiny_llama(folder: Path) -> BaseModel:
    """Writes the base model, the same weights each time, and loads what both services see of it."""
    write_tiny_base(folder)
    config = LlamaConfig.from_pretrained(folder)
    torch.manual_seed(0)
    keep = {path.name: path.read_bytes() for path in folder.iterdir()}
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    for name, data in keep.items():
        (folder / name).write_bytes(data)
    return BaseModel.load(folder)


def rows(count: int) -> list[CheckedRow]:
    """Golden rows whose answers can be read off their inputs."""
    cities = ("Rome", "Oslo", "Lima")
    return [
        CheckedRow(i, f"{i % 100} people in {cities[i % 3]}", f'{{"city":"{cities[i % 3]}","count":{i % 100}}}')
        for i in range(count)
    ]


def write_run(path: Path, base: BaseModel, train: list[CheckedRow] | None = None, **settings: Any) -> RunFolder:
    """A run's folder, as the service would write it."""
    folder = RunFolder(path)
    folder.path.mkdir()
    spec = RunSpec(
        job="tenants/acme/jobs/test",
        contract_name="tenants/acme/contracts/answer",
        contract_cache_dir=str(path.parent / "contracts"),
        dataset_digest="sha256:" + "0" * 64,
        **{
            "instruction_prompt": "Answer with JSON.",
            "base_model_dir": str(base.folder),
            "contract": CONTRACT.canonical().decode(),
            "epoch_count": 3,
            "rank": 4,
            **settings,
        },
    )
    folder.spec.write_bytes(spec.to_json())
    for part_path, part in ((folder.train_rows, train or rows(160)), (folder.holdout_rows, rows(9))):
        lines = (json.dumps({"row": r.row, "input": r.input, "output": r.output}) for r in part)
        part_path.write_text("\n".join(lines) + "\n")
    return folder


def run_here(folder: RunFolder, is_cancelled: Callable[[], bool] = lambda: False) -> None:
    """The run in this process, which saves importing torch again."""
    with closing(Journal(folder.events)) as journal:
        run(RunSpec.from_json(folder.spec.read_bytes()), folder, journal, is_cancelled)


def events_of(folder: RunFolder, kind: str) -> list[dict[str, Any]]:
    """What the run told so far, of one kind."""
    lines = folder.events.read_bytes().split(b"\n")[:-1] if folder.events.exists() else []
    return [event for event in map(json.loads, lines) if event["type"] == kind]


def start(folder: RunFolder, *flags: str) -> subprocess.Popen[bytes]:
    """The run's child process, on one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
    with (folder.path / "log").open("ab") as log:
        command = [sys.executable, "-m", "trainer_svc.worker", str(folder.path), *flags]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def finish(folder: RunFolder) -> None:
    """Runs the child to its good end."""
    assert start(folder).wait() == EXIT_DONE, (folder.path / "log").read_text()[-2000:]


def wait_for_checkpoints(folder: RunFolder, process: subprocess.Popen[bytes], count: int) -> None:
    """Returns once so many were told of, by all attempts together."""
    while len(events_of(folder, "checkpoint")) < count:
        assert process.poll() is None, (folder.path / "log").read_text()[-2000:]
        time.sleep(0.02)
