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
from typer.testing import CliRunner, Result

from shared.adapter.package import CONFIG_NAME, MANIFEST_NAME, SIGNATURE_NAME, WEIGHTS_NAME, read_package, write_package
from shared.base_model import BaseModel
from shared.cli.main import app
from shared.contracts.spec import ContractKind, ContractSpec
from shared.prompt import PromptRenderer
from tests.adapter_file import write_random_package
from tests.operator_key import OperatorKey

ONE, OTHER = OperatorKey(1), OperatorKey(2)
SPEC = ContractSpec(ContractKind.JSON, json_schema='{"type":"boolean"}')
CONTRACT = "tenants/acme/contracts/answer"


@pytest.fixture
def package(tiny_base: BaseModel, tmp_path: Path) -> Path:
    """A sound one, not signed."""
    folder, digest = tmp_path / "package", PromptRenderer.load(tiny_base).digest
    write_random_package(tiny_base, folder, rank=4, seed=1, prompt_digest=digest, contract=CONTRACT, spec=SPEC)
    return folder


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """The operator's list, with one key."""
    (tmp_path / "keys.pem").write_bytes(ONE.public_pem)
    return tmp_path / "keys.pem"


def _run(package: Path, *options: str | Path) -> Result:
    env = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    result = CliRunner().invoke(app, ["verify", str(package), *map(str, options)], env=env)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def _checks(result: Result) -> dict[str, tuple[str, str]]:
    checks = json.loads(result.stdout)["checks"]
    return {check["subject"]: (check["outcome"], check["reason"]) for check in checks}


class TestSoundPackage:
    """As its trainer published it."""

    def test_passes_and_says_what_was_not_asked(self, package: Path) -> None:
        """Its files are whole; who made it and what it belongs to takes a key and a base."""
        result = _run(package, "--json")

        assert result.exit_code == 0, result.output
        document = json.loads(result.stdout)
        assert document["digest"] == read_package(package).digest
        assert _checks(result) == {
            "files": ("passed", ""),
            "signature": ("not checked", ""),
            "weights": ("not checked", ""),
        }

    def test_passes_every_check(self, package: Path, keys: Path, tiny_base: BaseModel) -> None:
        """With key and base: also as a table, which names the key."""
        ONE.sign(package)
        options = ("--trusted-keys", keys, "--base-model", tiny_base.folder)

        shown, told = _run(package, *options), _run(package, *options, "--json")

        assert (shown.exit_code, told.exit_code) == (0, 0)
        assert {outcome for outcome, _ in _checks(told).values()} == {"passed"}
        assert json.loads(told.stdout)["signature_key_id"] == ONE.signer.key_id
        assert f"by {ONE.signer.key_id}" in shown.stdout
        assert f"belong to {tiny_base.model_id}" in shown.stdout

    def test_names_the_signer_without_believing_it(self, package: Path) -> None:
        """What the signature says of itself is no proof without the key."""
        OTHER.sign(package)

        result = _run(package, "--json")

        assert result.exit_code == 0
        assert json.loads(result.stdout)["signature_key_id"] == OTHER.signer.key_id
        assert _checks(result)["signature"] == ("not checked", "")


class TestSignature:
    """With a list of keys."""

    @pytest.mark.parametrize("operator", [None, OTHER], ids=["unsigned", "by a stranger"])
    def test_of_nobody_on_the_list_is_refused(self, package: Path, keys: Path, operator: OperatorKey | None) -> None:
        """Status 1, and the files' own check still tells that they are whole."""
        if operator is not None:
            operator.sign(package)

        result = _run(package, "--trusted-keys", keys, "--json")

        assert result.exit_code == 1
        assert _checks(result)["signature"] == ("refused", "SIGNATURE_REFUSED")
        assert json.loads(result.stdout)["signature_key_id"] == (operator.signer.key_id if operator else "")
        assert _checks(result)["files"] == ("passed", "")

    def test_of_another_form_is_refused_without_a_list_too(self, package: Path) -> None:
        """No trainer writes it."""
        (package / SIGNATURE_NAME).write_bytes(b"{}")

        assert _run(package).exit_code == 1


class TestBaseModel:
    """With the base that it should belong to."""

    def test_that_is_another_is_refused(self, package: Path, tiny_base: BaseModel, tmp_path: Path) -> None:
        """By its digest."""
        other = _copy(tiny_base, tmp_path)
        (other / "config.json").write_bytes(b" " + (other / "config.json").read_bytes())

        result = _run(package, "--base-model", other, "--json")

        assert result.exit_code == 1
        assert _checks(result)["weights"] == ("refused", "BASE_MODEL_MISMATCH")

    def test_with_another_prompt_template_is_refused(self, package: Path, tiny_base: BaseModel, tmp_path: Path) -> None:
        """As every replica refuses it, though the weights are those of the same base."""
        other = _copy(tiny_base, tmp_path)
        (other / "chat_template.jinja").write_text(
            "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
        )

        result = _run(package, "--base-model", other, "--json")

        assert BaseModel.load(other).digest == tiny_base.digest
        assert result.exit_code == 1
        assert _checks(result)["weights"] == ("refused", "BASE_MODEL_MISMATCH")
        assert "prompt template" in result.stdout


def _copy(base: BaseModel, folder: Path) -> Path:
    """A folder with the base's files."""
    other = folder / "other"
    other.mkdir()
    for path in base.folder.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    return other


class TestUsage:
    """What cannot be checked at all."""

    def test_ends_with_another_status(self, package: Path, tiny_base: BaseModel, tmp_path: Path) -> None:
        """2, not 1: the package may be sound."""
        (tmp_path / "none.pem").write_bytes(b"no key")
        (tmp_path / "base").mkdir()
        cases = [
            _run(tmp_path / "nowhere"),
            _run(package / MANIFEST_NAME),
            _run(package, "--trusted-keys", tmp_path / "nowhere"),
            _run(package, "--trusted-keys", tmp_path / "none.pem"),
            _run(package, "--base-model", tmp_path / "base"),
        ]
        (tmp_path / "base" / "config.json").write_text("{}")
        (tmp_path / "base" / "tokenizer.json").write_text("{}")
        cases.append(_run(package, "--base-model", tmp_path / "base"))

        broken = _copy(tiny_base, tmp_path)
        (broken / "chat_template.jinja").write_text("{% for")
        cases.append(_run(package, "--base-model", broken))

        assert [case.exit_code for case in cases] == [2] * 7


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

        result = _run(package, "--base-model", tiny_base.folder, *option)

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

        result = _run(package, "--base-model", tiny_base.folder, "--json")

        assert _checks(result)["files"] == ("passed", "")
        assert _checks(result)["weights"] == ("refused", "ADAPTER_REJECTED")

    def test_with_weights_of_nothing_is_refused(self, package: Path, tiny_base: BaseModel, tmp_path: Path) -> None:
        """An adapter that changes nothing is none."""
        save_file({"a": np.zeros(1, np.float32)}, tmp_path / "weights")
        _rewritten(package, (tmp_path / "weights").read_bytes())

        assert _checks(_run(package, "--base-model", tiny_base.folder, "--json"))["weights"][0] == "refused"

    def test_that_cannot_be_read_is_refused(self, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """With the system's own words."""

        def denied(path: Path) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "iterdir", denied)

        result = _run(package, "--json")

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
