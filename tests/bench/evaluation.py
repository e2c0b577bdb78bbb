"""Evaluation, all of it: metrics computed twice, statements that one database takes for equal, what is then served."""

from __future__ import annotations

from collections.abc import Callable

from tests.bench import evaluation_instances, evaluation_metrics, evaluation_parity
from tests.bench.result import Figures, run_parts

PARTS: tuple[Callable[[], Figures], ...] = (
    evaluation_metrics.measure,
    evaluation_instances.measure,
    evaluation_parity.measure,
)


def main() -> None:
    """Runs all parts."""
    run_parts("evaluation", PARTS)


if __name__ == "__main__":
    main()
