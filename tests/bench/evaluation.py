"""Evaluation, all of it: metrics and databases held against others, and broken adapters on their way to `live`."""

from __future__ import annotations

from collections.abc import Callable

from tests.bench import evaluation_broken, evaluation_instances, evaluation_metrics
from tests.bench.result import Figures, run_parts

PARTS: tuple[Callable[[], Figures], ...] = (
    evaluation_metrics.measure,
    evaluation_instances.measure,
    evaluation_broken.measure,
)


def main() -> None:
    """Runs all parts."""
    run_parts("evaluation", PARTS)


if __name__ == "__main__":
    main()
