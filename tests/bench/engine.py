"""A real engine on the shipped base model with adapters of random weights."""

from __future__ import annotations

from pathlib import Path

from inference_svc.domain.residency import AdapterKey
from inference_svc.engine.vllm_engine import EngineSettings, VllmEngine
from shared.base_model import BaseModel
from tests.adapter_file import write_random_adapter

RUNNING = 32
"""Requests that the engine decodes at a time."""
_ADAPTERS = 4


def settings(
    base: BaseModel, folder: Path, *, threads: int, resident_adapters: int = _ADAPTERS,
    kv_cache_blocks: int | None = None, finite_guard: bool = True,
) -> EngineSettings:  # fmt: skip
    """Of an engine over the contracts in `folder / "contracts"`."""
    return EngineSettings(
        base_model_dir=base.folder,
        contract_dir=folder / "contracts",
        id_file=folder / "last_id",
        context_tokens=1024,
        threads=threads,
        max_lora_rank=16,
        batch_adapters=_ADAPTERS,
        resident_adapters=resident_adapters,
        running_requests=RUNNING,
        kv_cache_gib=1,
        kv_cache_blocks=kv_cache_blocks,
        finite_guard=finite_guard,
    )


async def start_engine(base: BaseModel, folder: Path, *, threads: int) -> tuple[VllmEngine, list[AdapterKey]]:
    """An engine over the contracts in `folder / "contracts"`, and its adapters; the caller stops it."""
    engine = VllmEngine(settings(base, folder, threads=threads))
    await engine.start()
    adapters = [write_random_adapter(base, folder / f"random-{seed}", seed) for seed in range(_ADAPTERS)]
    for key in adapters:
        await engine.add_adapter(key)
    return engine, adapters
