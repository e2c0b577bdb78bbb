"""Brings one revision from the registry into the engine, through every check, or rejects it by name."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from pathlib import Path

from inference_svc.app.adapter_cache import AdapterCache
from inference_svc.app.contract_library import ContractLibrary
from inference_svc.app.ports import EngineCall, InferenceEngine, Registry
from inference_svc.app.quarantine import Quarantine
from inference_svc.app.signature_gate import SignatureGate
from inference_svc.domain.generation import Sampling
from inference_svc.domain.residency import AdapterKey, Resident, ResidentState
from shared.adapter.manifest import AdapterManifest
from shared.adapter.package import read_package
from shared.adapter.replay import MIN_CANARY_AGREEMENT, replayed_ratio
from shared.adapter.validate import check_prompt_template, validate_adapter
from shared.base_model import BaseModel
from shared.errors import DataLoss, DomainError, InvalidInput, StateConflict, Unavailable
from shared.names import ContractName, RevisionName

_log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0


class Loader:
    """Fetch, verify, load, prove. Idempotent for a revision whose files are on disk already."""

    def __init__(  # noqa: PLR0913  # one composition root calls it, each by name
        self, *, cache: AdapterCache, base: BaseModel, prompt_digest: str, max_rank: int, engine: InferenceEngine,
        registry: Registry, contracts: ContractLibrary, quarantine: Quarantine, signatures: SignatureGate,
    ) -> None:  # fmt: skip
        self._cache, self._base, self._prompt_digest, self._max_rank = cache, base, prompt_digest, max_rank
        self._engine, self._registry, self._contracts = engine, registry, contracts
        self._quarantine, self._signatures = quarantine, signatures
        self._proved: set[str] = set()
        """Digests that passed every check here: the same bytes pass again, when they come back after an eviction."""

    async def load(self, resident: Resident, in_use: Callable[[], AbstractSet[str]]) -> None:
        """Takes a FETCHING resident to LIVE. `in_use` tells the digests whose files must stay on disk, now.

        Raises:
            StateConflict: ADAPTER_REJECTED, BASE_MODEL_MISMATCH, ADAPTER_QUARANTINED or SIGNATURE_REFUSED; the resident
                is REJECTED then, for ever or for as long as the error says.
            DataLoss: the bytes are not those of the digest; REJECTED too.
            DomainError: anything else, such as `Unavailable`, passes; the resident is UNLOADED and may be tried again.
        """
        try:
            self._quarantine.check(resident.digest)
            folder = await self._fetch(resident, in_use)
            resident.move(ResidentState.VERIFYING)
            manifest = await asyncio.to_thread(self._verify, folder, resident.digest)
            _check_owner(manifest, resident.revision)
            resident.contract = await self._contracts.get(manifest.contract)
            resident.manifest = manifest
            resident.key = AdapterKey.of(resident.revision, resident.digest, folder)
            resident.move(ResidentState.LOADING)
            await self._engine.add_adapter(resident.key)
            resident.move(ResidentState.PROVING)
            if resident.digest not in self._proved:
                await self._prove(resident, manifest)
                self._proved.add(resident.digest)
            self._engine.check()  # it may have died just after its last answer, and forgotten the adapter
            _check(resident)
            resident.move(ResidentState.LIVE)
            _log.info("revision loaded", extra={"revision": str(resident.revision), "digest": resident.digest})
        except (StateConflict, DataLoss, InvalidInput) as err:
            self.bar(resident, err)
            _log.warning("revision rejected", extra={"revision": str(resident.revision), "reason": err.reason})
            await self._forget(resident, ResidentState.REJECTED)
            raise
        except BaseException:
            await self._forget(resident, resident.left_state)
            raise

    def bar(self, resident: Resident, error: DomainError) -> None:
        """Notes why a revision is rejected; for ever, and whatever its name, when it is for what it computed."""
        resident.bar(error)
        if resident.is_quarantined:
            self._quarantine.add(resident.digest, resident.revision, error.message)

    async def _forget(self, resident: Resident, state: ResidentState) -> None:
        try:
            if resident.key is not None:
                await self._engine.remove_adapter(resident.key)
        finally:
            resident.move(state)

    async def _fetch(self, resident: Resident, in_use: Callable[[], AbstractSet[str]]) -> Path:
        found = await asyncio.to_thread(self._cache.find, resident.digest)
        await self._signatures.check(resident.revision, resident.digest, found)
        if found is not None:
            return found
        try:
            async with self._cache.scratch() as temporary:
                await self._registry.download(resident.revision, temporary)
                await asyncio.to_thread(read_package, temporary, resident.digest)
                folder = await asyncio.to_thread(self._cache.publish, temporary, resident.digest)
            await asyncio.to_thread(self._cache.trim, {*in_use(), resident.digest})
        except OSError as err:
            _log.exception("adapter not stored", extra={"revision": str(resident.revision)})
            raise Unavailable(
                "ADAPTER_NOT_READY",
                f"{resident.revision} cannot be stored here: {err.strerror}",
                retry_after_seconds=_RETRY_SECONDS,
            ) from err
        return folder

    def _verify(self, folder: Path, digest: str) -> AdapterManifest:
        manifest = read_package(folder, digest)
        if digest in self._proved:
            return manifest
        check_prompt_template(manifest, self._prompt_digest)
        validate_adapter(folder, manifest, self._base, max_rank=self._max_rank)
        return manifest

    async def _prove(self, resident: Resident, manifest: AdapterManifest) -> None:
        if not manifest.canaries:
            return
        # One after another: all at once would take the newcomer in sooner, and slow the steps of everybody else down.
        shares = [await self._replay(resident, c.prompt_ids, c.expected_ids) for c in manifest.canaries]
        agreement = sum(shares) / len(shares)
        if agreement < MIN_CANARY_AGREEMENT:
            raise StateConflict(
                "ADAPTER_REJECTED",
                f"the engine replays {agreement:.0%} of the canary answers, the least is {MIN_CANARY_AGREEMENT:.0%}",
            )

    async def _replay(self, resident: Resident, prompt: tuple[int, ...], expected: tuple[int, ...]) -> float:
        assert resident.contract is not None
        call = EngineCall(
            request_id=f"canary-{uuid.uuid4().hex}",
            prompt_ids=prompt,
            contract_digest=resident.contract.digest,
            max_tokens=max(len(expected), resident.contract.min_tokens),
            sampling=Sampling(),
            adapter=resident.key,
            tenant=resident.revision.tenant,
            stream=False,
        )
        got = [token async for chunk in self._engine.generate(call) for token in chunk.token_ids]
        return replayed_ratio(got, expected)


def _check_owner(manifest: AdapterManifest, revision: RevisionName) -> None:
    """Passes when a revision's tenant owns the contract of its package, whose name answers and figures carry.

    Not among what is passed once for each digest: the same bytes may be named by revisions of two tenants.

    Raises:
        StateConflict: ADAPTER_REJECTED.
    """
    try:
        tenant = ContractName.parse(manifest.contract_name, "contract_name").tenant
    except InvalidInput as err:
        raise StateConflict("ADAPTER_REJECTED", f"the manifest names no contract: {err.message}") from err
    if tenant != revision.tenant:
        raise StateConflict(
            "ADAPTER_REJECTED",
            f"the manifest names {manifest.contract_name}, the revision is of tenant {revision.tenant}",
        )


def _check(resident: Resident) -> None:
    """Raises for what a request of before the engine's last death has found out meanwhile."""
    if resident.rejection:
        raise resident.refusal()
