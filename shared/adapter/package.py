"""Writes and reads adapter packages: a flat folder of two known files, their manifest and perhaps a signature.

Nothing is ever unpickled.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path

from shared.adapter.manifest import AdapterManifest, PackageFile
from shared.digest import sha256_bytes, sha256_file
from shared.errors import DataLoss, StateConflict
from shared.files import write_atomic

MANIFEST_NAME = "manifest.json"
WEIGHTS_NAME = "adapter_model.safetensors"
CONFIG_NAME = "adapter_config.json"
FILE_NAMES = (WEIGHTS_NAME, CONFIG_NAME)
SIGNATURE_NAME = "signature.json"
"""May lie beside them: it covers the manifest, so the manifest cannot name it."""
MAX_FILE_BYTES = 4 << 30
"""A rank-64 adapter of a 70 B base has about 3.3 GB in bf16; larger files are an attack or a merged model."""
MAX_MANIFEST_BYTES = 4 << 20
MAX_SIGNATURE_BYTES = 4 << 10
_SHOWN_NAMES = 8


def write_package(folder: Path, manifest: AdapterManifest, sources: Mapping[str, Path]) -> AdapterManifest:
    """Copies the files into `folder` and writes the manifest that covers them; returns it.

    Raises:
        OSError: the disk is full or not writable.
    """
    assert set(sources) == set(FILE_NAMES), sources
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name in FILE_NAMES:
        target = folder / name
        shutil.copyfile(sources[name], target)
        files.append(PackageFile(name, target.stat().st_size, sha256_file(target)))
    complete = dataclasses.replace(manifest, files=tuple(files))
    write_atomic(folder / MANIFEST_NAME, complete.to_json())
    return complete


def manifest_digest(folder: Path) -> str:
    """The digest of a package's manifest file as it is now: the revision's, if the package is whole.

    What is decided by it is decided for the package that `read_package` then reads with it.

    Raises:
        StateConflict: ADAPTER_REJECTED where there is no such plain file, or a larger one than any manifest.
        OSError: it cannot be read.
    """
    path = folder / MANIFEST_NAME
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_MANIFEST_BYTES:
        text = f"{MANIFEST_NAME} is no plain file of at most {MAX_MANIFEST_BYTES} bytes"
        raise StateConflict("ADAPTER_REJECTED", text)
    return sha256_file(path)


def read_package(folder: Path, expected_digest: str | None = None) -> AdapterManifest:
    """Checks that `folder` holds exactly the files its manifest names, byte for byte, and returns the manifest.

    A signature may be there too; whether it is good is asked elsewhere (`shared.adapter.signature`).

    Raises:
        StateConflict: ADAPTER_REJECTED for a missing, additional, linked, oversized or wrongly named file.
        DataLoss: DIGEST_MISMATCH when bytes differ from the manifest, or the manifest from `expected_digest`.
    """
    found = {path.name: path for path in folder.iterdir()} if folder.is_dir() else {}
    if set(found) - {SIGNATURE_NAME} != {MANIFEST_NAME, *FILE_NAMES}:
        shown = sorted(found)[:_SHOWN_NAMES]
        raise StateConflict(
            "ADAPTER_REJECTED",
            f"package must hold {MANIFEST_NAME} and {FILE_NAMES}, has {len(found)} files: {shown}",
        )
    for path in found.values():
        if path.is_symlink() or not path.is_file():
            raise StateConflict("ADAPTER_REJECTED", f"{path.name} is not a plain file")
    for name, limit in ((MANIFEST_NAME, MAX_MANIFEST_BYTES), (SIGNATURE_NAME, MAX_SIGNATURE_BYTES)):
        if name in found and found[name].stat().st_size > limit:
            raise StateConflict("ADAPTER_REJECTED", f"{name} exceeds {limit} bytes")
    data = found[MANIFEST_NAME].read_bytes()
    if expected_digest is not None and sha256_bytes(data) != expected_digest:
        raise DataLoss("DIGEST_MISMATCH", f"{MANIFEST_NAME} is not the one with digest {expected_digest}")
    manifest = AdapterManifest.from_json(data)
    if tuple(file.filename for file in manifest.files) != FILE_NAMES:
        raise StateConflict("ADAPTER_REJECTED", f"manifest must name {FILE_NAMES}")
    for file in manifest.files:
        _check_file(found[file.filename], file)
    return manifest


def _check_file(path: Path, file: PackageFile) -> None:
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise StateConflict("ADAPTER_REJECTED", f"{file.filename} has {size} bytes, the limit is {MAX_FILE_BYTES}")
    if size != file.size_bytes or sha256_file(path) != file.digest:
        raise DataLoss("DIGEST_MISMATCH", f"{file.filename} differs from its manifest")
