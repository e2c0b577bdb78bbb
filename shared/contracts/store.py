"""Compiled contracts on disk: one folder per digest, whole or not there, and checked when read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.contracts.automaton import TokenAutomaton
from shared.contracts.compiled import CompiledContract
from shared.contracts.report import CompileReport, EngineName, Guarantee, KeywordFate, KeywordVerdict
from shared.contracts.spec import ContractSpec
from shared.errors import DataLoss

if TYPE_CHECKING:
    from shared.contracts.grammar_machine import GrammarMachine

_MANIFEST = "contract.json"


def write_contract(folder: Path, contract: CompiledContract) -> None:
    """Write a contract into an empty folder, the manifest last."""
    contract.machine.save(folder)
    body = {
        "spec": contract.spec.canonical().decode(),
        "vocabulary_digest": contract.vocabulary_digest,
        "report": asdict(contract.report),
        "files": {path.name: _sha256(path) for path in sorted(folder.iterdir())},
    }
    (folder / _MANIFEST).write_text(json.dumps(body, indent=1), encoding="utf-8")


def read_contract(folder: Path) -> CompiledContract:
    """Read what `write_contract` wrote; raises `DataLoss` when anything is missing or differs."""
    try:
        body = json.loads((folder / _MANIFEST).read_bytes())
        damaged = [name for name, digest in body["files"].items() if _sha256(folder / name) != digest]
        spec = ContractSpec.from_canonical(body["spec"].encode())
        report = _report(body["report"])
        vocabulary_digest = str(body["vocabulary_digest"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise DataLoss("DIGEST_MISMATCH", f"The compiled contract in {folder.name} cannot be read: {err}.") from err
    if damaged:
        raise DataLoss("DIGEST_MISMATCH", f"The compiled contract in {folder.name} is damaged: {', '.join(damaged)}.")
    return CompiledContract(spec, vocabulary_digest, report, _machine(folder, report.engine, vocabulary_digest))


def _machine(folder: Path, engine: EngineName, vocabulary_digest: str) -> TokenAutomaton | GrammarMachine:
    if engine is EngineName.OUTLINES:
        return TokenAutomaton.load(folder)
    from shared.contracts.grammar_machine import GrammarMachine

    return GrammarMachine.load(folder, vocabulary_digest)


def _report(body: dict[str, Any]) -> CompileReport:  # Any: our own JSON, read field by field
    verdicts = tuple(KeywordVerdict(v["pointer"], KeywordFate(v["fate"]), v["note"]) for v in body.pop("verdicts"))
    return CompileReport(
        guarantee=Guarantee(body.pop("guarantee")), engine=EngineName(body.pop("engine")), verdicts=verdicts, **body
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def scratch_folder(cache_dir: Path) -> Iterator[Path]:
    """An empty folder on the cache's file system that is gone afterwards unless it was published."""
    folder = Path(tempfile.mkdtemp(prefix=".tmp-", dir=cache_dir))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(scratch: Path, folder: Path) -> None:
    """Make a scratch folder appear under its final name, all of it durable first; keeps an existing one."""
    for path in (*scratch.iterdir(), scratch):
        _fsync(path)
    try:
        scratch.rename(folder)
    except OSError:
        if not (folder / _MANIFEST).exists():
            raise
    _fsync(folder.parent)


def discard(folder: Path) -> None:
    """Take a damaged folder away so that it can be compiled again."""
    with scratch_folder(folder.parent) as trash:
        try:
            folder.rename(trash / "damaged")
        except FileNotFoundError:
            return  # another process was faster


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
