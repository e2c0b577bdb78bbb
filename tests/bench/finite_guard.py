"""What it costs to look for NaN and infinity in every step: ours, and vLLM's count of NaN, which misses infinity."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from tests.bench.result import report

_REPEATS = 50
_SHAPES = {
    "32_logits_of_2048": (32, 2_048),
    "32_logits_of_131072": (32, 131_072),
    "32_hidden_of_256": (32, 256),
    "2048_hidden_of_2048": (2_048, 2_048),
}
"""A step's decode logits with the shipped vocabulary and a large one, and hidden states of decode and of a prefill."""


def main() -> None:
    """Prints the figures and writes build/bench/finite_guard.json."""
    report("finite_guard", measure())


def measure() -> dict[str, float | int | str]:
    """Median microseconds on one thread, bf16."""
    from vllm.v1.worker.gpu_model_runner import count_nans_per_row

    from inference_svc.engine.finite_worker import non_finite_rows

    torch.set_num_threads(1)
    figures: dict[str, float | int | str] = {}
    for name, shape in _SHAPES.items():
        values = torch.randn(*shape).bfloat16()
        figures[f"ours_us_{name}"] = _median_us(lambda values=values: non_finite_rows(values))
        figures[f"vllm_us_{name}"] = _median_us(lambda values=values: count_nans_per_row(values).tolist())
    return figures


def _median_us(call: Callable[[], object]) -> float:
    call()
    times = []
    for _ in range(_REPEATS):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e6


if __name__ == "__main__":
    main()
