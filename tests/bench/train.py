"""Training, all of it: speed against others, kill -9, QLoRA, the merged export, the dataset gate, hostile uploads."""

from __future__ import annotations

from collections.abc import Callable

from tests.bench import gate, hostile_uploads, train_quantized, train_resume, train_speed
from tests.bench.result import Figures, keep, report

PARTS: tuple[Callable[[], Figures], ...] = (
    train_speed.measure,
    train_resume.measure,
    train_quantized.measure,
    gate.measure,
    hostile_uploads.measure,
)


def main() -> None:
    """Prints each part's figures; build/bench/train.json has them all, and is written after each part."""
    figures: Figures = {}
    for measure in PARTS:
        found = measure()
        report(measure.__module__.rpartition(".")[2], found)
        figures |= found
        keep("train", figures)


if __name__ == "__main__":
    main()
