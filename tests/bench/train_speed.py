"""Our training loop against TRL's SFTTrainer and a plain PEFT loop: same rows, same plan, their defaults.

Ours trains with LoRA+, which the others leave off unless asked.

TRL lives in a folder of its own (`make bench-train` fills it), so that nothing of the product sees what it brings.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.bench.result import Figures
from tests.bench.train_material import Material
from tests.bench.undisturbed import Undisturbed

TRL_FOLDER = Path(__file__).parents[2] / "build" / "trl"
_SEEDS = (0, 1, 2)
_TRAIN_ROWS, _HOLDOUT_ROWS, _EPOCHS = 500, 100, 1
_SYSTEMS = ("ours", "plain", "trl")


@dataclass(frozen=True)
class _Run:
    seconds: float
    peak_bytes: int
    holdout_loss: float


def measure() -> Figures:
    """Tokens per second, padding not counted, peak memory and loss on the holdout; medians and means over the seeds."""
    material = Material.generate(train_count=_TRAIN_ROWS, holdout_count=_HOLDOUT_ROWS, epoch_count=_EPOCHS)
    undisturbed = Undisturbed(len(_SEEDS))
    with tempfile.TemporaryDirectory() as folder:
        material.save(Path(folder))
        rounds = [undisturbed.run(lambda seed=seed: _round(Path(folder), seed)) for seed in _SEEDS]  # type: ignore[misc]  # one round a seed
    runs = {system: [found[system] for found in rounds] for system in _SYSTEMS}
    seconds = {system: statistics.median(run.seconds for run in runs[system]) for system in _SYSTEMS}
    memory = {system: statistics.median(run.peak_bytes for run in runs[system]) for system in _SYSTEMS}
    loss = {system: statistics.mean(run.holdout_loss for run in runs[system]) for system in _SYSTEMS}
    return {
        "speed_vs_trl": seconds["trl"] / seconds["ours"],
        "speed_vs_plain_peft": seconds["plain"] / seconds["ours"],
        "memory_vs_trl": memory["ours"] / memory["trl"],
        "memory_vs_plain_peft": memory["ours"] / memory["plain"],
        "holdout_loss_ratio_vs_trl": loss["ours"] / loss["trl"],
        "holdout_loss_ratio_vs_plain_peft": loss["ours"] / loss["plain"],
        **{f"tokens_per_second_{system}": material.token_count / seconds[system] for system in _SYSTEMS},
        **{f"peak_mib_{system}": memory[system] / 2**20 for system in _SYSTEMS},
        **{f"holdout_loss_{system}": loss[system] for system in _SYSTEMS},
        "speed_worst_stolen": undisturbed.worst_stolen,
    }


def _round(folder: Path, seed: int) -> dict[str, _Run]:
    return {system: _train(system, folder, seed) for system in _SYSTEMS}


def _train(system: str, folder: Path, seed: int) -> _Run:
    paths = [os.environ.get("PYTHONPATH", ""), *([str(TRL_FOLDER)] if system == "trl" else [])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": "2",
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    command = [sys.executable, "-m", "tests.bench.train_system", system, str(folder), str(seed)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{system} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return _Run(**json.loads(ended.stdout.splitlines()[-1]))
