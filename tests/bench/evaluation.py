"""Evaluation, all of it: metrics computed twice, broken adapters, what is then served, and what it saves."""

from __future__ import annotations

from collections.abc import Callable

from tests.bench import (
    evaluation_broken,
    evaluation_instances,
    evaluation_metrics,
    evaluation_parity,
    evaluation_savings,
)
from tests.bench.result import Figures, run_parts

PARTS: tuple[Callable[[], Figures], ...] = (
    evaluation_metrics.measure,
    evaluation_instances.measure,
    evaluation_savings.measure,
    evaluation_broken.measure,
    evaluation_parity.measure,
)


def main() -> None:
    """Runs all parts."""
    run_parts("evaluation", PARTS)


if __name__ == "__main__":
    main()
