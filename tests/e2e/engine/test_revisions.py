"""Revisions and tenants share no cache, in a real vLLM engine: not weights, not prefixes, not ids."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from inference_svc.app.ports import EngineCall
from inference_svc.domain.residency import AdapterKey
from shared.adapter.package import WEIGHTS_NAME
from shared.base_model import BaseModel
from shared.digest import sha256_file
from shared.names import RevisionName
from tests.adapter_file import write_random_adapter
from tests.e2e.engine.bench import Bench

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.filterwarnings("ignore"),  # vLLM's own imports warn
]

_TURNS = 3
_TEXT = "Please note order AB-1234 of thirty boxes and one of CD-5678. " * 30
"""Some hundred tokens: the prefix cache holds whole blocks of 128 only."""


@dataclass(frozen=True)
class Asked:
    """What an engine made of one request."""

    tokens: tuple[int, ...]
    cached_prompt_tokens: int


async def _ask(bench: Bench, adapter: AdapterKey | None, tenant: str) -> Asked:
    """The same greedy request of whatever adapter and tenant."""
    call: EngineCall = replace(
        bench.call(0, extra=40, temperature=0.0),
        prompt_ids=bench.renderer.prompt_ids(_TEXT),
        adapter=adapter,
        tenant=tenant,
    )
    chunks = [chunk async for chunk in bench.engine.generate(call)]
    return Asked(tuple(token for chunk in chunks for token in chunk.token_ids), chunks[0].cached_prompt_tokens)


def _written(base: BaseModel, folder: Path, number: int) -> AdapterKey:
    """A revision of one adapter with weights of its own, keyed as the service does it."""
    folder = folder / f"revision-{number}"
    write_random_adapter(base, folder, 40 + number)
    return AdapterKey.of(RevisionName("acme", "answer", number), sha256_file(folder / WEIGHTS_NAME), folder)


@asynccontextmanager
async def _held(bench: Bench, *keys: AdapterKey) -> AsyncIterator[None]:
    """In the engine for the length of the block."""
    for key in keys:
        await bench.engine.add_adapter(key)
    try:
        yield
    finally:
        for key in keys:
            await bench.engine.remove_adapter(key)


async def _warm(bench: Bench, adapter: AdapterKey | None, tenant: str) -> Asked:
    """The answer with the prompt in the prefix cache: sums are rounded alike from then on."""
    assert (await _ask(bench, adapter, tenant)).cached_prompt_tokens == 0
    asked = await _ask(bench, adapter, tenant)
    assert asked.cached_prompt_tokens > 0
    return asked


class TestRevisions:
    """Two revisions of one adapter that differ in nothing but weights, asked the same."""

    async def test_answer_as_each_does_alone_however_they_alternate(
        self, bench: Bench, shipped_base: BaseModel, tmp_path: Path
    ) -> None:
        """With their prompts cached, after each left and came back, alone or beside the other."""
        keys = [_written(shipped_base, tmp_path, number) for number in (1, 2)]
        alone = []
        for key in keys:
            async with _held(bench, key):
                alone.append(await _warm(bench, key, "acme"))
        async with _held(bench, *keys):
            together = [[await _ask(bench, key, "acme") for key in keys] for _ in range(_TURNS)]
            await bench.engine.remove_adapter(keys[0])
            await bench.engine.add_adapter(keys[0])
            returned = [await _ask(bench, key, "acme") for key in keys]

        assert alone[0].tokens != alone[1].tokens
        assert together == [alone] * _TURNS
        assert returned == alone

    async def test_begin_without_the_prefixes_of_the_other(
        self, bench: Bench, shipped_base: BaseModel, tmp_path: Path
    ) -> None:
        """A promotion finds no key and value that the old weights computed, nor those of the base model."""
        old, new = (_written(shipped_base, tmp_path, number) for number in (3, 4))
        await _warm(bench, None, "initech")
        async with _held(bench, old, new):
            await _warm(bench, old, "initech")
            first = await _ask(bench, new, "initech")

        assert first.cached_prompt_tokens == 0

    async def test_have_an_id_for_each_time_that_they_come(
        self, bench: Bench, shipped_base: BaseModel, tmp_path: Path
    ) -> None:
        """By it vLLM keys weights; one that was used is never used again."""
        keys = [_written(shipped_base, tmp_path, number) for number in (5, 6)]
        ids = []
        for key in (*keys, *keys):
            async with _held(bench, key):
                ids.append(bench.engine._ledger.held(key).lora_int_id)

        assert ids == sorted(set(ids))


class TestLedger:
    """Who gives out the ids."""

    async def test_gives_out_no_id_twice_over_restarts_and_crashes(self, tmp_path: Path) -> None:
        """The id is on disk before the engine hears of it: what was being loaded at a crash stays burnt."""
        from inference_svc.engine.adapter_ledger import AdapterLedger

        ids = []
        for life in range(4):
            ledger = AdapterLedger(tmp_path / "last_id")
            key = AdapterKey(f"acme/answer/1@{life}", str(tmp_path))
            ids.append(ledger.issue(key).lora_int_id)
            if life % 2:  # the others crash before they keep it
                ledger.keep(key, ledger.issue(key))
                ids.append(ledger.held(key).lora_int_id)

        assert ids == [1, 2, 3, 4, 5, 6]


class TestTenants:
    """Two tenants that ask the base model the same."""

    async def test_do_not_find_each_others_prompts(self, bench: Bench) -> None:
        """Each one's first request is computed whole, so that its time tells nothing of what others asked."""
        before = await _warm(bench, None, "globex")
        other = await _warm(bench, None, "hooli")
        again = await _ask(bench, None, "globex")

        assert before == other == again
