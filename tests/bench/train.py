"""Training, all of it: speed against others, kill -9, QLoRA, the merged export, the dataset gate, hostile uploads."""

from __future__ import annotations

from collections.abc import Callable

from tests.bench import gate, hostile_uploads, train_quantized, train_resume, train_speed
from tests.bench.result import Figures, run_parts

PARTS: tuple[Callable[[], Figures], ...] = (
    train_speed.measure,
    train_resume.measure,
    train_quantized.measure,
    gate.measure,
    hostile_uploads.measure,
)


def main() -> None:
    """Runs all parts."""
    run_parts("train", PARTS)


if __name__ == "__main__":
    main()
