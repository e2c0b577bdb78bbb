"""Adapters that come, go, and must never hurt anyone, in a real vLLM engine."""

from __future__ import annotations

import asyncio
import re
import shutil
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from inference_svc.app.adapter_cache import AdapterCache
from inference_svc.app.contract_library import ContractLibrary
from inference_svc.app.loader import Loader
from inference_svc.app.quarantine import Quarantine
from inference_svc.app.signature_gate import SignatureGate
from inference_svc.domain.residency import AdapterKey, Resident, ResidentState
from shared.adapter.manifest import AdapterManifest
from shared.adapter.package import CONFIG_NAME, WEIGHTS_NAME
from shared.base_model import BaseModel
from shared.clock import SystemClock
from shared.contracts.compiler import ContractCompiler
from shared.errors import DataLoss, InternalFault, StateConflict
from shared.names import RevisionName
from tests.adapter_file import write_random_adapter
from tests.bad_adapters import CASES, RANK, BadAdapter, sound_tensors, write_bad
from tests.e2e.engine.bench import Bench
from tests.unit.inference_svc.conftest import FakeRegistry

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.filterwarnings("ignore"),  # vLLM's own imports warn
]


class TestAdapters:
    """Adapters coming and going."""

    async def test_bad_ones_are_refused_and_the_engine_lives(self, bench: Bench, tmp_path: Path) -> None:
        """A missing folder and a garbage file are errors of their own adapter, also when tried again."""
        (tmp_path / "garbage").mkdir()
        (tmp_path / "garbage" / CONFIG_NAME).write_text('{"peft_type":"LORA","r":16,"lora_alpha":32}')
        (tmp_path / "garbage" / WEIGHTS_NAME).write_bytes(b"\x00" * 100)
        for name in ("missing", "garbage"):
            for _ in range(2):
                with pytest.raises(StateConflict) as caught:
                    await bench.engine.add_adapter(AdapterKey(f"acme/{name}@0", str(tmp_path / name)))
                assert caught.value.reason == "ADAPTER_REJECTED"

        call = bench.call(0, extra=10, temperature=0.0)
        bench.assert_kept(0, call, await bench.tokens(call))

    async def test_come_and_go_while_others_answer(self, bench: Bench, shipped_base: BaseModel, tmp_path: Path) -> None:
        """Loading and removing an adapter disturbs no request that runs on another."""
        calls = [bench.call(i, extra=60, temperature=1.0) for i in range(30)]
        running = [asyncio.create_task(bench.tokens(call)) for call in calls]
        for seed in (11, 12, 13):
            key = write_random_adapter(shipped_base, tmp_path / f"guest-{seed}", seed)
            await bench.engine.add_adapter(key)
            await bench.engine.remove_adapter(key)

        for index, (call, task) in enumerate(zip(calls, running, strict=True)):
            bench.assert_kept(index, call, await task)

    async def test_an_abandoned_request_is_freed(self, bench: Bench) -> None:
        """Closing the iterator ends the request in the engine; more of them than it has places do not block it."""
        for index in range(40):
            call = bench.call(index, extra=60, temperature=1.0, stream=True)
            async with aclosing(bench.engine.generate(call)) as chunks:
                await anext(chunks)

        call = bench.call(0, extra=5, temperature=0.0)
        bench.assert_kept(0, call, await asyncio.wait_for(bench.tokens(call), 60))


class TestTorture:
    """What plain vLLM dies of, or serves silently wrong."""

    async def test_bad_revisions_are_rejected_beside_running_answers(
        self, bench: Bench, shipped_base: BaseModel, tmp_path: Path
    ) -> None:
        """Each with its own words, before the engine sees it; the greedy answers of others stay what they were."""
        await bench.greedy(15)  # the prompts are in the prefix cache from now on, and sums are rounded alike
        before = await bench.greedy(15)
        registry = FakeRegistry()
        loader = Loader(
            cache=AdapterCache(tmp_path, 1 << 30),
            base=shipped_base,
            prompt_digest=bench.renderer.digest,
            max_rank=16,
            engine=bench.engine,
            registry=registry,
            contracts=ContractLibrary(ContractCompiler(tmp_path / "contracts", shipped_base.vocabulary()), registry),
            quarantine=Quarantine(tmp_path / "quarantine.json", SystemClock()),
            signatures=SignatureGate(None, registry),
        )
        bystanders = asyncio.create_task(bench.greedy(15))

        for number, (name, case) in enumerate(CASES.items(), 1):
            resident = _on_disk(case, number, bench, shipped_base, tmp_path)
            with pytest.raises((StateConflict, DataLoss), match=re.escape(case.words)):
                await loader.load(resident, set)
            assert resident.state is ResidentState.REJECTED, name

        assert await bystanders == before
        assert await bench.greedy(15) == before

    async def test_a_request_for_an_adapter_that_was_never_added_fails_alone(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        """It never reaches vLLM, which would die of the path."""
        call = replace(bench.call(0, extra=10, temperature=0.0), adapter=AdapterKey("acme/nobody@0", str(tmp_path)))

        with pytest.raises(InternalFault, match="not in the engine"):
            await bench.tokens(call)

        healthy = bench.call(0, extra=10, temperature=0.0)
        bench.assert_kept(0, healthy, await bench.tokens(healthy))

    async def test_one_name_for_two_folders_is_refused(
        self, bench: Bench, shipped_base: BaseModel, tmp_path: Path
    ) -> None:
        """Two requests of one name and two ids in a batch are the end of vLLM."""
        key = write_random_adapter(shipped_base, tmp_path / "twin", 21)
        await bench.engine.add_adapter(key)

        with pytest.raises(StateConflict, match="other files"):
            await bench.engine.add_adapter(replace(key, path=str(tmp_path / "other")))
        await bench.engine.remove_adapter(key)

        healthy = bench.call(0, extra=10, temperature=0.0)
        bench.assert_kept(0, healthy, await bench.tokens(healthy))

    async def test_files_that_vanish_after_the_load_are_not_missed(
        self, bench: Bench, shipped_base: BaseModel, tmp_path: Path
    ) -> None:
        """More adapters than device slots take turns, so weights come from memory again and again, never from disk."""
        keys = [write_random_adapter(shipped_base, tmp_path / f"gone-{seed}", seed) for seed in (31, 32)]
        for key in keys:
            await bench.engine.add_adapter(key)
        rotation = [*bench.adapters, *keys]
        calls = [replace(bench.call(0, extra=10, temperature=0.0), adapter=key) for key in rotation]

        async def ask(turn: str) -> list[list[int]]:
            again = [replace(call, request_id=f"{turn}-{place}") for place, call in enumerate(calls)]
            return [await bench.tokens(call) for call in again]

        await ask("warm")
        before = await ask("before")
        for key in keys:
            shutil.rmtree(key.path)

        for turn in range(3):
            assert await ask(f"gone-{turn}") == before
        for key in keys:
            await bench.engine.remove_adapter(key)


def _on_disk(case: BadAdapter, number: int, bench: Bench, base: BaseModel, folder: Path) -> Resident:
    """The revision of a case as if it had been fetched already."""
    manifest = AdapterManifest(
        base_model_id=base.model_id,
        base_model_digest=base.digest,
        prompt_digest=bench.renderer.digest,
        contract_name="tenants/acme/contracts/answer",
        contract=bench.contracts[0].spec,
        rank=RANK,
        alpha=8.0,
        target_modules=base.architecture.target_modules,
        dataset_digest=f"sha256:{number:064}",
        canaries=(),
    )
    written = write_bad(case, manifest, sound_tensors(base), folder / "new")
    digest = written.digest
    (folder / "new").rename(folder / digest.removeprefix("sha256:"))
    shutil.rmtree(folder / "new.source")
    name = RevisionName("acme", "answer", number)
    return Resident(name, digest, lambda before, seconds: None, ResidentState.FETCHING)
