"""Compiles contracts in a killable process and keeps the results on disk by content digest."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from shared.child import EXIT_REFUSED, Ended, run_child
from shared.contracts.compiled import CompiledContract, contract_digest
from shared.contracts.limit import TOO_SLOW, too_large
from shared.contracts.spec import ContractSpec
from shared.contracts.store import discard, publish, read_contract, scratch_folder
from shared.contracts.vocabulary import TokenVocabulary
from shared.errors import DataLoss, FieldViolation, InternalFault, InvalidInput, NotFound

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_PLACES = threading.BoundedSemaphore(2)
"""Compilations at a time in this process: each may take a GiB, and whoever sends many must not crowd out the others."""


@dataclass(frozen=True)
class CompileLimits:
    """What one compilation may use; more time or memory is refused with `CONTRACT_TOO_LARGE`.

    Whoever sends a contract waits for the answer, hostile ones included. An index is given up after two of the four
    seconds, for a grammar: the quickstart's invoices take 0.8 s as an index of 2,359 states, its sales 0.9 s as one of
    11,623; a real database of seven tables with value lists 1.9 s as a grammar of 172,538 parts (2,048 tokens,
    2026-11-21). A busy machine may take twice as long.
    """

    wall_seconds: float = 20.0
    """For machines that are busy with other work."""
    cpu_seconds: int = 4
    """The start of the process, 0.7 s, included."""
    memory_bytes: int = 1024**3
    max_states: int = 120_000
    """Above it a contract is a grammar, not an automaton."""


class ContractCompiler:
    """Turns contract specs into compiled contracts over one vocabulary.

    Safe to use from several threads and processes on one `cache_dir`: results are published by an atomic rename.
    """

    def __init__(self, cache_dir: Path, vocabulary: TokenVocabulary, limits: CompileLimits | None = None) -> None:
        self._cache_dir = cache_dir
        self._vocabulary = vocabulary
        self._limits = limits or CompileLimits()

    def compile(self, spec: ContractSpec) -> CompiledContract:
        """The compiled contract: from the cache, else compiled in a separate process under the limits.

        Blocking (seconds for a large contract): call it off the event loop. Raises `InvalidInput` with reason
        `CONTRACT_UNSUPPORTED` (violations name every fault) or `CONTRACT_TOO_LARGE`.
        """
        digest = contract_digest(spec, self._vocabulary.digest)
        try:
            return self.load(digest)
        except NotFound:
            pass
        except DataLoss:
            discard(self.folder(digest))
        self._cache_dir.mkdir(parents=True, exist_ok=True)
        with scratch_folder(self._cache_dir) as order, scratch_folder(self._cache_dir) as scratch:
            vocabulary_file = order / "vocabulary.json"
            vocabulary_file.write_bytes(self._vocabulary.to_json())
            with _PLACES:
                self._run_worker(spec, vocabulary_file, scratch)
            publish(scratch, self.folder(digest))
        return self.load(digest)

    def load(self, digest: str) -> CompiledContract:
        """A contract compiled before; raises `NotFound` when absent and `DataLoss` when damaged."""
        folder = self.folder(digest)
        if not folder.is_dir():
            raise NotFound(
                "RESOURCE_NOT_FOUND", f"No compiled contract {digest} is stored.", metadata={"digest": digest}
            )
        contract = read_contract(folder)
        if contract.digest != digest:
            raise DataLoss("DIGEST_MISMATCH", f"The folder of {digest} holds the contract {contract.digest}.")
        return contract

    def folder(self, digest: str) -> Path:
        """Where the contract of this digest lies, or would; raises `NotFound` for what is no digest."""
        found = _DIGEST.fullmatch(digest)
        if not found:
            raise NotFound("RESOURCE_NOT_FOUND", f"{digest[:80]!r} is not a contract digest (sha256:<64 hex digits>).")
        return self._cache_dir / found[1]

    def _run_worker(self, spec: ContractSpec, vocabulary_file: Path, folder: Path) -> None:
        order = {
            "spec": spec.canonical().decode(),
            "vocabulary_file": str(vocabulary_file.resolve()),
            "folder": str(folder.resolve()),
            "memory_bytes": self._limits.memory_bytes,
            "cpu_seconds": self._limits.cpu_seconds,
            "max_states": self._limits.max_states,
        }
        try:
            ended = run_child(
                "shared.contracts.worker", json.dumps(order).encode(), wall_seconds=self._limits.wall_seconds
            )
        except TimeoutError as err:
            raise too_large(f"takes more than {self._limits.wall_seconds:g} s to compile") from err
        self._judge(ended)

    def _judge(self, ended: Ended) -> None:
        if ended.status == 0:
            return
        if ended.status == EXIT_REFUSED:
            refusal = json.loads(ended.output)
            violations = [FieldViolation(place, what) for place, what in refusal.pop("violations")]
            raise InvalidInput(**refusal, violations=violations)
        if ended.is_out_of_memory:
            raise too_large(f"takes more than {self._limits.memory_bytes >> 20} MiB to compile")
        if ended.is_out_of_time:
            raise too_large(TOO_SLOW)
        raise InternalFault("INTERNAL", f"The contract compiler ended with status {ended.status}: {ended.last_error}")
