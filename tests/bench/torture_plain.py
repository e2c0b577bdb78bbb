"""Plain vLLM's column: adapters added as its own server adds them, and no guard against what is not finite."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

from inference_svc.domain.residency import AdapterKey
from shared.base_model import BaseModel
from tests.adapter_file import write_random_adapter
from tests.bad_adapters import CASES
from tests.bench.bystander import Bystanders
from tests.bench.torture_ours import LONG, NO_FOLDER, POISONED, TWINS, UNKNOWN, VANISHED, Column, packed
from tests.poison import POISON, write_poisoned_adapter

_TOKENS = 48
_IDS = 10_000
"""Above those that the bystanders' adapters have."""


async def torture(folder: Path, base: BaseModel) -> Column:
    """Every item; an engine that died is started again for the next."""
    there = await Bystanders.start(base, folder, finite_guard=False)
    verdicts, changed = {}, 0
    for number, (name, case) in enumerate(CASES.items(), 1):
        path = folder / packed(case, number, there, folder).digest.removeprefix("sha256:")
        verdicts[name] = await _verdict(there, _add(there, f"bad-{number}", _IDS + number, path))
    verdicts[NO_FOLDER] = await _verdict(there, _add(there, "bad-0", _IDS, folder / "absent"))
    changed += await there.changed()
    for kind in POISON:
        verdicts[kind], more = await _poison(there, kind)
        changed += more
    for name, killer in ((UNKNOWN, _unknown), (VANISHED, _vanished), (TWINS, _twins)):
        verdicts[name] = await _verdict(there, killer(there))
    await there.engine.stop()
    return Column(verdicts, changed, there.deaths)


async def _verdict(there: Bystanders, trial: Any) -> str:  # a coroutine that returns text
    try:
        verdict = str(await trial)
    except Exception as err:  # whatever vLLM raises is its answer
        verdict = f"refused: {str(err) or repr(err)}"[:90].splitlines()[0]
    return "the engine dies" if await there.revive() else verdict


async def _add(there: Bystanders, name: str, number: int, path: Path) -> str:
    """Added, tried again once as a caller would, and asked if it was taken."""
    vllm, request, second = there.engine._engine, _request(name, number, path), ""
    try:
        await vllm.add_lora(request)
    except Exception:  # any: the second try is what is asked about
        await vllm.add_lora(request)
        second = " at the second try"
    await _generate(there, request)
    await vllm.remove_lora(number)
    return f"accepted{second}"


async def _poison(there: Bystanders, kind: str) -> tuple[str, int]:
    key = write_poisoned_adapter(there.base, there.folder / f"poison-{kind}".replace(" ", "-"), 41, kind)
    await there.engine.add_adapter(key)
    beside = asyncio.create_task(there.changed())
    await asyncio.gather(*(there.ask(key, f"{number}: {LONG}", 0) for number in range(POISONED)))
    changed = await beside
    await there.engine.remove_adapter(key)
    changed += await there.changed()
    blocks = await there.engine.poisoned_blocks()
    return f"accepted; {changed} answers of others changed, {blocks} poisoned blocks", changed


async def _unknown(there: Bystanders) -> str:
    await _generate(there, _request("nobody", _IDS + 1001, there.folder / "nobody"))
    return "accepted"


async def _vanished(there: Bystanders) -> str:
    """More adapters than the engine holds; the first, evicted since, is asked again without its files."""
    keys = [write_random_adapter(there.base, there.folder / f"many-{seed}", seed) for seed in range(30, 40)]
    requests = [_of(key, _IDS + 1100 + number) for number, key in enumerate(keys)]
    for request in requests:
        await there.engine._engine.add_lora(request)
    shutil.rmtree(keys[0].path)
    await _generate(there, requests[0])
    return "accepted"


async def _twins(there: Bystanders) -> str:
    """Two ids of one name, neither of them added, in one batch."""
    key = write_random_adapter(there.base, there.folder / "twin", 21)
    twins = [_of(key, _IDS + 1200), _of(key, _IDS + 1201)]
    outcomes = await asyncio.gather(*(_generate(there, twin) for twin in twins), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return "accepted"


async def _generate(there: Bystanders, request: Any) -> None:  # vLLM's LoRARequest
    from vllm import SamplingParams

    sampling = SamplingParams(temperature=0.0, max_tokens=_TOKENS, ignore_eos=True)
    name = there.call(None, "any").request_id
    outputs = there.engine._engine.generate(
        {"prompt_token_ids": list(range(5, 60))}, sampling, name, lora_request=request
    )
    async for _ in outputs:
        pass


def _of(key: AdapterKey, number: int) -> Any:  # vLLM's LoRARequest
    return _request(key.name, number, Path(key.path))


def _request(name: str, number: int, path: Path) -> Any:  # vLLM's LoRARequest
    from vllm.lora.request import LoRARequest

    return LoRARequest(lora_name=name, lora_int_id=number, lora_path=str(path))
