"""What a contract costs: compile time, size, and microseconds for each token's mask."""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from deploy.quickstart.invoices import invoices
from deploy.quickstart.sales import sales
from shared.base_model import BaseModel
from shared.contracts.compiled import CompiledContract
from shared.contracts.compiler import ContractCompiler
from tests.bench.result import report

BASE = Path(__file__).parents[2] / "deploy" / "base_model" / "weights"
_WALKS = 50
_EXTRA_TOKENS = 64


def main() -> None:
    """Compiles the quickstart's two contracts and walks them at random, from the least budget up."""
    figures: dict[str, float | int | str] = {}
    vocabulary = BaseModel.load(BASE).vocabulary()
    for tenant in (invoices(2, 1), sales(2, 1)):
        kind = tenant.kind.value
        with tempfile.TemporaryDirectory() as folder:
            compiler = ContractCompiler(Path(folder), vocabulary)
            begin = time.perf_counter()
            compiled = compiler.compile(tenant.spec)
            cold = time.perf_counter() - begin
            begin = time.perf_counter()
            compiler.compile(tenant.spec)
            figures[f"{kind}_compile_ms"] = cold * 1000
            figures[f"{kind}_cached_compile_ratio"] = (time.perf_counter() - begin) / cold
            figures[f"{kind}_engine"] = compiled.report.engine.value
            figures[f"{kind}_states"] = compiled.report.state_count
            figures[f"{kind}_min_tokens"] = compiled.min_tokens
            times = _walk(compiled)
        figures[f"{kind}_mask_p50_us"] = statistics.median(times)
        figures[f"{kind}_mask_p99_us"] = float(np.quantile(times, 0.99))
    figures["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report("contract", figures)


def _walk(contract: CompiledContract) -> list[float]:
    """Microseconds of every mask along random walks that all end in time."""
    rng = np.random.default_rng(0)
    times = []
    for walk in range(_WALKS):
        guide = contract.guide()
        for remaining in range(contract.min_tokens + walk % _EXTRA_TOKENS, 0, -1):
            begin = time.perf_counter()
            mask = guide.mask(remaining)
            times.append((time.perf_counter() - begin) * 1e6)
            allowed = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little"))
            assert guide.advance(int(rng.choice(allowed)))
            if guide.is_finished():
                break
        assert guide.is_finished()
    return times


if __name__ == "__main__":
    main()
