"""Proving a run before it may take a worker."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from shared.base_model import BaseModel
from shared.contracts.spec import ContractKind, ContractSpec
from trainer_svc.domain.plan import learning_rate
from trainer_svc.domain.run import RunFolder, RunSpec
from trainer_svc.engine.preparation import prepare


class TestPreparation:
    """The validation of a job."""

    def test_loads_no_torch(self) -> None:
        """It goes on beside a training, and must take neither its seconds nor its memory."""
        code = "import sys, trainer_svc.worker, trainer_svc.engine.preparation; print('torch' in sys.modules)"

        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

        assert done.stdout.strip() == "False"

    def test_chooses_the_learning_rate_by_the_bases_family(self, tiny_base: BaseModel, tmp_path: Path) -> None:
        """As its config names it."""
        qwen = tmp_path / "base"
        shutil.copytree(tiny_base.folder, qwen)
        config = json.loads((qwen / "config.json").read_bytes())
        (qwen / "config.json").write_text(json.dumps(config | {"model_type": "qwen3"}))

        rates = [
            prepare(*_run(tmp_path / folder.name, folder), None).plan.learning_rate
            for folder in (tiny_base.folder, qwen)
        ]

        assert rates == [learning_rate(tiny_base.hidden_size, family) for family in ("llama", "qwen3")]
        assert rates[0] != rates[1]


def _run(path: Path, base: Path) -> tuple[RunSpec, RunFolder]:
    """Of ten rows to train on and one that is held out."""
    folder = RunFolder(path / "run")
    folder.path.mkdir(parents=True)
    contract = ContractSpec(ContractKind.CHOICE, choices=("yes", "no")).canonical().decode()
    row = json.dumps({"row": 0, "input": "Is it?", "output": "yes"}) + "\n"
    folder.train_rows.write_text(row * 10)
    folder.holdout_rows.write_text(row)
    return RunSpec("j", str(base), "c", contract, str(path / "contracts"), "sha256:0"), folder
