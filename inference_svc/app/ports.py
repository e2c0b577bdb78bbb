"""What the use cases need from the outside: an engine and a registry."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from inference_svc.domain.generation import Sampling
from inference_svc.domain.residency import AdapterKey
from shared.adapter.canary import CanarySplit, RollbackReason
from shared.contracts.spec import ContractSpec
from shared.names import AliasName, ContractName, RevisionName


@dataclass(frozen=True)
class EngineCall:
    """One request to the engine: token ids in, token ids out."""

    request_id: str
    prompt_ids: Sequence[int]
    contract_digest: str
    max_tokens: int
    """Budget of output tokens, the stop token included; at least the contract's minimum."""
    sampling: Sampling
    adapter: AdapterKey | None
    tenant: str
    """Salts the prefix cache: tenants never share cached prompts."""
    stream: bool


@dataclass(frozen=True)
class EngineChunk:
    """Tokens since the last chunk.

    The first chunk comes as soon as there is a token: when it arrives is the time to the first token. The others come
    every few tokens if the call streams; otherwise one with all the rest comes at the end.
    """

    token_ids: Sequence[int]
    cached_prompt_tokens: int
    finished: bool


class NonFinite(Exception):
    """The engine computed NaN or infinity for a request, or for another one with the same adapter.

    The request has ended, the engine answers nobody with that adapter any more until it is removed and added again, and
    nothing of it is left that could reach another request.
    """


class InferenceEngine(Protocol):
    """Runs the base model with adapters under compiled contracts."""

    def check(self) -> None:
        """Raises `Unavailable` (NOT_SERVING) while the engine cannot be asked."""

    async def add_adapter(self, key: AdapterKey) -> None:
        """Takes an adapter up; idempotent.

        Raises `StateConflict` (ADAPTER_REJECTED) and forgets it when it cannot, `Unavailable` (NOT_SERVING) when the
        engine is dead.
        """

    async def remove_adapter(self, key: AdapterKey) -> None:
        """Forgets an adapter; the caller sees to it that no request uses it. Idempotent."""

    def generate(self, call: EngineCall) -> AsyncGenerator[EngineChunk]:
        """Chunks of one answer; closing the iterator aborts the request in the engine.

        Raises `Unavailable` (NOT_SERVING) when the engine is dead, `NonFinite` instead of what is no number.
        """


class MortalEngine(InferenceEngine, Protocol):
    """An engine in processes of its own, which may die."""

    def condemn(self) -> None:
        """Declares it dead although it runs: what it computes is not to be trusted."""

    async def start(self) -> None:
        """Brings the engine up, again after `stop`; it holds no adapter then. Raises `Unavailable` when it cannot."""

    async def failed(self) -> None:
        """Returns when the engine is dead; whatever was asked of it has failed or will, with `Unavailable`."""

    async def stop(self) -> None:
        """Ends the engine and its processes."""


@dataclass(frozen=True)
class RevisionFacts:
    """What the registry says about a revision."""

    name: RevisionName
    digest: str


@dataclass(frozen=True)
class AliasFacts:
    """What the registry says about an alias."""

    name: AliasName
    revision: RevisionName
    canary: CanarySplit | None = None


class Registry(Protocol):
    """The trainer's registry. Every method raises `DomainError`."""

    async def revision(self, name: RevisionName) -> RevisionFacts:
        """Facts of a revision. Raises `NotFound`."""

    async def download(self, name: RevisionName, folder: Path) -> None:
        """Writes the revision's files into `folder`; digests are the caller's to check."""

    async def signature(self, name: RevisionName) -> bytes | None:
        """The file with the revision's signature, whatever it holds; None where the revision has none."""

    def watch_aliases(self) -> AsyncIterator[AliasFacts]:
        """Every alias as it is now, then each change, for ever, across disconnections."""

    async def roll_back_canary(
        self, alias: AliasName, split: CanarySplit, reason: RollbackReason, description: str
    ) -> None:
        """Ends the trial of a canary that is worse; does nothing when it is over already. Raises `NotFound`."""

    async def contract(self, name: ContractName) -> ContractSpec:
        """Definition of a contract. Raises `NotFound`."""
