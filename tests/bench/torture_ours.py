"""Goldsmith's column: bad packages through the loader, engine killers and poison past every check of ours."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

from inference_svc.app.adapter_cache import AdapterCache
from inference_svc.app.contract_library import ContractLibrary
from inference_svc.app.loader import Loader
from inference_svc.app.quarantine import Quarantine
from inference_svc.app.signature_gate import SignatureGate
from inference_svc.domain.residency import AdapterKey, Resident, ResidentState
from shared.adapter.manifest import AdapterManifest
from shared.base_model import BaseModel
from shared.clock import SystemClock
from shared.errors import DomainError, NotFound
from shared.names import RevisionName
from tests.adapter_file import write_random_adapter
from tests.bad_adapters import CASES, RANK, BadAdapter, sound_tensors, write_bad
from tests.bench.bystander import SPEC, Bystanders
from tests.poison import POISON, write_poisoned_adapter
from tests.unit.inference_svc.conftest import FakeRegistry

POISONED = 160
"""Requests of each poisoned adapter: between them they write to every block of the cache."""
NO_FOLDER = "missing folder"
UNKNOWN, VANISHED, TWINS = "A: path that was never added", "B: evicted, then its files go", "E2: one name, two ids"
LONG = "many words of no importance " * 40


class _EmptyRegistry(FakeRegistry):
    """Has no files: what is not on disk is nowhere."""

    async def download(self, name: RevisionName, folder: Path) -> None:
        """As the registry answers for what it does not have."""
        raise NotFound("RESOURCE_NOT_FOUND", f"{name} does not exist")


@dataclass
class Column:
    """What became of each item, and of the bystanders."""

    verdicts: dict[str, str]
    changed: int
    deaths: int


async def torture(folder: Path, base: BaseModel) -> Column:
    """Every item on one engine; bystanders are asked again after each part."""
    there = await Bystanders.start(base, folder, finite_guard=True)
    verdicts = await _packages(there)
    changed = await there.changed()
    verdicts |= await _killers(there)
    changed += await there.changed()
    for kind in POISON:
        verdicts[kind], more = await _poison(there, kind)
        changed += more
    assert await there.engine.poisoned_blocks() == 0
    await there.engine.stop()
    return Column(verdicts, changed, there.deaths)


async def _packages(there: Bystanders) -> dict[str, str]:
    registry, cache = _EmptyRegistry(), there.folder / "cache"
    cache.mkdir()
    loader = Loader(
        cache=AdapterCache(cache, 1 << 40), base=there.base, prompt_digest=there.renderer.digest, max_rank=16,
        engine=there.engine, registry=registry, contracts=ContractLibrary(there.compiler, registry),
        quarantine=Quarantine(there.folder / "quarantine.json", SystemClock()),
        signatures=SignatureGate(None, registry),
    )  # fmt: skip
    found = {}
    for number, (name, case) in enumerate(CASES.items(), 1):
        found[name] = await _load(loader, packed(case, number, there, cache))
    absent = Resident(RevisionName("bench", "bad", 0), f"sha256:{0:064}", _ignore, ResidentState.FETCHING)
    found[NO_FOLDER] = await _load(loader, absent)
    return found


async def _load(loader: Loader, resident: Resident) -> str:
    try:
        await loader.load(resident, set)
    except DomainError as err:
        return f"{err.reason}: {err}"[:90]
    return "accepted"


async def _killers(there: Bystanders) -> dict[str, str]:
    """The three ways to kill plain vLLM, tried at the one class that hands adapters to it."""
    nobody = AdapterKey("bench/nobody/1@0", str(there.folder / "nobody"))
    twin = write_random_adapter(there.base, there.folder / "twin", 21)
    found = {UNKNOWN: await _refusal(there.ask(nobody, "row 0"))}
    await there.engine.add_adapter(twin)
    found[TWINS] = await _refusal(there.engine.add_adapter(AdapterKey(twin.name, str(there.folder / "other"))))
    # Five adapters take turns in four device slots while the files of one are gone.
    first = await there.ask(twin, "row 1")
    shutil.rmtree(twin.path)
    for _ in range(2):
        await there.greedy()
        again = await there.ask(twin, "row 1")
    found[VANISHED] = "answered from memory" if again == first else "answered otherwise"
    await there.engine.remove_adapter(twin)
    there.deaths += there.engine._engine.errored
    return found


async def _refusal(call: object) -> str:
    try:
        await call  # type: ignore[misc]  # either of two coroutines
    except DomainError as err:
        return f"{err.reason}: {err}"[:90]
    return "accepted"


async def _poison(there: Bystanders, kind: str) -> tuple[str, int]:
    """What became of the requests of a poisoned adapter, and how many bystanders changed, beside them and after."""
    key = write_poisoned_adapter(there.base, there.folder / f"poison-{kind}".replace(" ", "-"), 41, kind)
    await there.engine.add_adapter(key)
    beside = asyncio.create_task(there.changed())
    answers = await asyncio.gather(*(there.ask(key, f"{number}: {LONG}", 0) for number in range(POISONED)))
    changed = await beside
    await there.engine.remove_adapter(key)
    changed += await there.changed()
    ended = sum(answer is None for answer in answers)
    return f"{ended} of {POISONED} ended unanswered" if ended else "accepted", changed


def packed(case: BadAdapter, number: int, there: Bystanders, folder: Path) -> Resident:
    """The revision of a case as if it had been fetched into `folder` already."""
    manifest = AdapterManifest(
        base_model_id=there.base.model_id,
        base_model_digest=there.base.digest,
        prompt_digest=there.renderer.digest,
        contract_name="tenants/bench/contracts/answer",
        contract=SPEC,
        rank=RANK,
        alpha=8.0,
        target_modules=there.base.architecture.target_modules,
        dataset_digest=f"sha256:{number:064}",
        canaries=(),
    )
    written = write_bad(case, manifest, sound_tensors(there.base), folder / "new")
    (folder / "new").rename(folder / written.digest.removeprefix("sha256:"))
    shutil.rmtree(folder / "new.source")
    return Resident(RevisionName("bench", "bad", number), written.digest, _ignore, ResidentState.FETCHING)


def _ignore(before: ResidentState, seconds: float) -> None:
    """Nobody watches."""
