"""Our training loop against TRL's SFTTrainer and a plain PEFT loop: same rows, same plan, everybody's defaults.

Each system computes in its own default type, which `train_system` explains and the figures tell, and its threads wait
for each other as they do by default: TRL's and PEFT's spin, which is fastest on a machine that does nothing else.

TRL lives in a folder of its own (`make bench-train` fills it), so that nothing of the product sees what it brings.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.result import Figures
from tests.bench.train_material import Material
from tests.bench.undisturbed import Undisturbed
from trainer_svc.app.worker_process import THREAD_WAITING

TRL_FOLDER = Path(__file__).parents[2] / "build" / "trl"
_SEEDS = tuple(range(10))
_ALL_SYSTEMS_SEEDS = 3
"""With the others only ours and TRL's train: their losses are what is compared within a per cent."""
_TRAIN_ROWS, _HOLDOUT_ROWS, _EPOCHS = 500, 100, 1
_SYSTEMS = ("ours", "trl", "plain")


@dataclass(frozen=True)
class _Run:
    seconds: float
    peak_bytes: int
    holdout_loss: float
    dtype: str


_Rounds = list[dict[str, _Run]]


def measure() -> Figures:
    """Tokens per second, padding not counted, peak memory and loss on the holdout; medians and means over the seeds."""
    material = Material.generate(train_count=_TRAIN_ROWS, holdout_count=_HOLDOUT_ROWS, epoch_count=_EPOCHS)
    undisturbed = Undisturbed(len(_SEEDS))
    with tempfile.TemporaryDirectory() as folder:
        material.save(Path(folder))
        rounds = [undisturbed.run(lambda seed=seed: _round(Path(folder), seed)) for seed in _SEEDS]  # type: ignore[misc]  # one round a seed
    figures: Figures = {}
    for other, name in (("trl", "trl"), ("plain", "plain_peft")):
        figures |= _comparison(other, name, rounds)
    for system in _SYSTEMS:
        runs = [found[system] for found in rounds if system in found]
        figures |= {
            f"tokens_per_second_{system}": material.token_count / statistics.median(run.seconds for run in runs),
            f"peak_mib_{system}": statistics.median(run.peak_bytes for run in runs) / 2**20,
            f"holdout_loss_{system}": statistics.mean(run.holdout_loss for run in runs),
            f"holdout_losses_{system}": " ".join(f"{run.holdout_loss:.4f}" for run in runs),
            f"dtype_{system}": runs[0].dtype,
        }
    return figures | {"speed_worst_stolen": undisturbed.worst_stolen}


def _comparison(other: str, name: str, rounds: _Rounds) -> Figures:
    """In the rounds that the other system took part in."""
    pairs = [(found["ours"], found[other]) for found in rounds if other in found]
    ours, theirs = zip(*pairs, strict=True)
    seconds, memory = (
        [statistics.median(getattr(run, field) for run in runs) for runs in (ours, theirs)]
        for field in ("seconds", "peak_bytes")
    )
    losses, others = ([run.holdout_loss for run in runs] for runs in (ours, theirs))
    return {
        f"speed_vs_{name}": seconds[1] / seconds[0],
        f"memory_vs_{name}": memory[0] / memory[1],
        f"holdout_loss_ratio_vs_{name}": statistics.mean(losses) / statistics.mean(others),
        f"holdout_loss_ratio_vs_{name}_standard_error": ratio_error(losses, others),
    }


def ratio_error(above: Sequence[float], below: Sequence[float]) -> float:
    """Standard error of a ratio of two means, from their spread over the seeds.

    `ratio * sqrt(variance(a) / (n_a mean(a)^2) + variance(b) / (n_b mean(b)^2))`, the delta method (Casella and Berger,
    Statistical Inference, 5.5.4) for samples that have nothing in common: a seed shuffles each trainer's rows its way.
    """
    parts = [statistics.variance(values) / len(values) / statistics.mean(values) ** 2 for values in (above, below)]
    return statistics.mean(above) / statistics.mean(below) * math.sqrt(sum(parts))


def _round(folder: Path, seed: int) -> dict[str, _Run]:
    systems = _SYSTEMS if seed < _ALL_SYSTEMS_SEEDS else ("ours", "trl")
    return {system: _train(system, folder, seed) for system in systems}


def _train(system: str, folder: Path, seed: int) -> _Run:
    paths = [os.environ.get("PYTHONPATH", ""), *([str(TRL_FOLDER)] if system == "trl" else [])]
    environment = {
        **{name: value for name, value in os.environ.items() if name not in THREAD_WAITING},
        **(THREAD_WAITING if system == "ours" else {}),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": "2",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    command = [sys.executable, "-m", "tests.bench.train_system", system, str(folder), str(seed)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{system} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return _Run(**json.loads(ended.stdout.splitlines()[-1]))
