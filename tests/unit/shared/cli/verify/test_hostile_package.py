"""`goldsmith verify` on packages of strangers."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from shared.adapter.package import CONFIG_NAME, MANIFEST_NAME, SIGNATURE_NAME, WEIGHTS_NAME, read_package, write_package
from shared.base_model import BaseModel
from tests.unit.shared.cli.verify.verified import checks_of, verify


def _edit(**fields: object) -> Callable[[Path], None]:
    def spoil(package: Path) -> None:
        path = package / MANIFEST_NAME
        path.write_text(json.dumps({**json.loads(path.read_bytes()), **fields}))

    return spoil


def _write(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda package: _replace(package / name, data)


def _replace(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def _link(package: Path) -> None:
    (package / WEIGHTS_NAME).rename(package.parent / "weights")
    (package / WEIGHTS_NAME).symlink_to(package.parent / "weights")


def _fifo(package: Path) -> None:
    os.mkfifo(package / SIGNATURE_NAME)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _linked_manifest(package: Path) -> None:
    (package / MANIFEST_NAME).rename(package.parent / "manifest")
    (package / MANIFEST_NAME).symlink_to(package.parent / "manifest")


def _many(package: Path) -> None:
    for number in range(300):
        (package / f"{number}\x1b[31m").touch()


HOSTILE: dict[str, Callable[[Path], None]] = {
    "no manifest": lambda package: (package / MANIFEST_NAME).unlink(),
    "flipped weight": lambda package: _flip(package / WEIGHTS_NAME),
    "other config": _write(CONFIG_NAME, b"{}"),
    "link": _link,
    "folder for a file": lambda package: (package / SIGNATURE_NAME).mkdir(),
    "fifo": _fifo,
    "many files": _many,
    "linked manifest": _linked_manifest,
    "huge manifest": lambda package: os.truncate(package / MANIFEST_NAME, 1 << 40),
    "empty manifest": _write(MANIFEST_NAME, b""),
    "deep manifest": _write(MANIFEST_NAME, b"[" * 100_000),
    "deep object": _write(MANIFEST_NAME, b'{"a":' * 100_000),
    "list": _write(MANIFEST_NAME, b"[]"),
    "not UTF-8": _write(MANIFEST_NAME, b"\xff\xfe{}"),
    "long number": _edit(rank=10**400),
    "rank as text": _edit(rank="4"),
    "rank as list": _edit(rank=[4]),
    "alpha as text": _edit(alpha="8"),
    "base as object": _edit(base_model_id={}),
    "contract as list": _edit(contract=[]),
    "contract as garbage": _edit(contract="{"),
    "contract of another kind": _edit(contract='{"kind":"none"}'),
    "deep contract": _edit(contract="[" * 100_000),
    "metrics of texts": _edit(metrics={"f1": "\x1b[31mgood"}),
    "metrics beyond floats": _edit(metrics={"f1": 10**400}),
    "metrics that are no number": _edit(metrics={"f1": float("nan")}),
    "alpha beyond floats": _edit(alpha=10**400),
    "infinite alpha": _edit(alpha=float("inf")),
    "training of lists": _edit(training={"seed": []}),
    "canaries of texts": _edit(canaries=[{"prompt_ids": ["x"], "expected_ids": []}]),
    "canaries of nothing": _edit(canaries=[None]),
    "files of nothing": _edit(files=[None]),
    "infinite size": _edit(files=[{"filename": WEIGHTS_NAME, "size_bytes": float("inf"), "digest": ""}] * 2),
    "a path for a name": _edit(files=[{"filename": "../../x", "size_bytes": 1, "digest": ""}]),
    "unknown field": _edit(more=1),
    "of a newer format": _edit(format_version=99),
    "truth for a number": _edit(format_version=True),
    "long signature": _write(SIGNATURE_NAME, b"x" * 5000),
}


class TestHostilePackage:
    """What somebody may send."""

    @pytest.mark.parametrize("name", HOSTILE)
    @pytest.mark.parametrize("form", ["table", "json"])
    def test_is_refused_in_words(self, package: Path, tiny_base: BaseModel, name: str, form: str) -> None:
        """Status 1 with the reason and never a traceback; nothing of it reaches the terminal as it is."""
        HOSTILE[name](package)
        option = ("--json",) if form == "json" else ()

        result = verify(package, "--base-model", tiny_base.folder, *option)

        assert result.exit_code == 1, result.output
        assert "ADAPTER_REJECTED" in result.stdout or "DIGEST_MISMATCH" in result.stdout
        assert "\x1b" not in result.stdout

    @pytest.mark.parametrize(
        "header",
        [
            b"[]",
            b"[" * 50_000,
            b'{"a":5}',
            b'{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,0]}}',
            b'{"a":{"dtype":"F32","shape":[0,%d],"data_offsets":[0,0]}}' % 10**30,
            b'{"a":{"dtype":"F32","shape":[%s0],"data_offsets":[0,0]}}' % (b"0," * 100),
        ],
        ids=["list", "deep", "number", "infinite", "large", "many dimensions"],
    )
    def test_with_hostile_weights_is_refused_in_words(
        self, package: Path, tiny_base: BaseModel, tmp_path: Path, header: bytes
    ) -> None:
        """Their bytes may be those of the manifest: whoever trained them may be hostile, too."""
        weights = len(header).to_bytes(8, "little") + header
        _rewritten(package, weights)

        result = verify(package, "--base-model", tiny_base.folder, "--json")

        assert checks_of(result)["files"] == ("passed", "")
        assert checks_of(result)["weights"] == ("refused", "ADAPTER_REJECTED")

    def test_with_weights_of_nothing_is_refused(self, package: Path, tiny_base: BaseModel, tmp_path: Path) -> None:
        """An adapter that changes nothing is none."""
        save_file({"a": np.zeros(1, np.float32)}, tmp_path / "weights")
        _rewritten(package, (tmp_path / "weights").read_bytes())

        assert checks_of(verify(package, "--base-model", tiny_base.folder, "--json"))["weights"][0] == "refused"

    def test_that_cannot_be_read_is_refused(self, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """With the system's own words."""

        def denied(path: Path) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "iterdir", denied)

        result = verify(package, "--json")

        assert result.exit_code == 1
        assert "Permission denied" in result.stdout


def _rewritten(package: Path, weights: bytes) -> None:
    """The package with other weights, and a manifest that covers them."""
    manifest, sources = read_package(package), package.parent / "sources"
    sources.mkdir()
    (sources / "config").write_bytes((package / CONFIG_NAME).read_bytes())
    (sources / "weights").write_bytes(weights)
    bare = dataclasses.replace(manifest, files=())
    write_package(package, bare, {WEIGHTS_NAME: sources / "weights", CONFIG_NAME: sources / "config"})
