"""Adapters in service, all of it: kernel, neighbours, bad adapters, promotion, cold start, crash, access, residency."""

from __future__ import annotations

from collections.abc import Callable

from tests.bench import authorisation, cold_start, crash, fairness, lora_kernel, residency, swap, torture
from tests.bench.result import Figures, run_parts

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
    """Runs all parts."""
    run_parts("adapters", PARTS)


if __name__ == "__main__":
    main()
