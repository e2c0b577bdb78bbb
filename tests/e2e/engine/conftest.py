"""One engine for all tests of this folder: it takes half a minute to start."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.quickstart.invoices import SCHEMA
from deploy.quickstart.sales import DDL
from inference_svc.engine.vllm_engine import EngineSettings, VllmEngine
from shared.base_model import BaseModel
from shared.contracts.compiler import ContractCompiler
from shared.contracts.spec import ContractKind, ContractSpec
from shared.prompt import PromptRenderer
from tests.adapter_file import write_random_adapter
from tests.e2e.engine.bench import Bench


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def bench(shipped_base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    """The engine with five contracts and two wrecked adapters."""
    folder = tmp_path_factory.mktemp("engine")
    compiler = ContractCompiler(folder / "contracts", shipped_base.vocabulary())
    specs = [
        ContractSpec(ContractKind.JSON, json_schema=json.dumps(SCHEMA)),
        ContractSpec(ContractKind.SQL, ddl=DDL),
        ContractSpec(ContractKind.CHOICE, choices=("billing", "bill", "refund", "two\nlines", "é😀")),
        ContractSpec(ContractKind.REGEX, pattern=r"[A-Z]{2}-\d{4}(?:, [A-Z]{2}-\d{4}){0,3}"),
        ContractSpec(ContractKind.TEXT, max_chars=60),
    ]
    engine = VllmEngine(
        EngineSettings(
            base_model_dir=shipped_base.folder,
            contract_dir=folder / "contracts",
            id_file=folder / "last_id",
            context_tokens=1024,
            threads=1,
            max_lora_rank=16,
            batch_adapters=2,
            resident_adapters=4,
            running_requests=32,
            kv_cache_gib=1,
            kv_cache_blocks=300,  # so few that tests can have every one of them written to
        )
    )
    await engine.start()
    adapters = [write_random_adapter(shipped_base, folder / f"random-{seed}", seed) for seed in (1, 2)]
    for key in adapters:
        await engine.add_adapter(key)
    contracts = [compiler.compile(spec) for spec in specs]
    yield Bench(engine, PromptRenderer.load(shipped_base), contracts, [None, *adapters])
    await engine.stop()
