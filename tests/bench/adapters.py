"""Adapters in service, all of it: kernel, neighbours, bad adapters, promotion, cold start, crash, access, residency."""

from __future__ import annotations

from collections.abc import Callable

from tests.bench import authorisation, cold_start, crash, fairness, lora_kernel, residency, swap, torture
from tests.bench.result import Figures, keep, report

PARTS: tuple[Callable[[], Figures], ...] = (
    lora_kernel.measure,
    fairness.measure,
    torture.measure,
    swap.measure,
    cold_start.measure,
    crash.measure,
    authorisation.measure,
    residency.measure,
)


def main() -> None:
    """Prints each part's figures; build/bench/adapters.json has them all, and is written after each part."""
    figures: Figures = {}
    for measure in PARTS:
        found = measure()
        report(measure.__module__.rpartition(".")[2], found)
        figures |= found
        keep("adapters", figures)


if __name__ == "__main__":
    main()
