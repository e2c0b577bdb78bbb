"""`goldsmith verify`: what it checks, and what it says of a sound package and of one that belongs elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.adapter.package import MANIFEST_NAME, SIGNATURE_NAME, read_package
from shared.base_model import BaseModel
from tests.operator_key import OperatorKey
from tests.unit.shared.cli.verify.verified import checks_of, verify

ONE, OTHER = OperatorKey(1), OperatorKey(2)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """The operator's list, with one key."""
    (tmp_path / "keys.pem").write_bytes(ONE.public_pem)
    return tmp_path / "keys.pem"


class TestSoundPackage:
    """As its trainer published it."""

    def test_passes_and_says_what_was_not_asked(self, package: Path) -> None:
        """Its files are whole; who made it and what it belongs to takes a key and a base."""
        result = verify(package, "--json")

        assert result.exit_code == 0, result.output
        document = json.loads(result.stdout)
        assert document["digest"] == read_package(package).digest
        assert checks_of(result) == {
            "files": ("passed", ""),
            "signature": ("not checked", ""),
            "weights": ("not checked", ""),
        }

    def test_passes_every_check(self, package: Path, keys: Path, tiny_base: BaseModel) -> None:
        """With key and base: also as a table, which names the key."""
        ONE.sign(package)
        options = ("--trusted-keys", keys, "--base-model", tiny_base.folder)

        shown, told = verify(package, *options), verify(package, *options, "--json")

        assert (shown.exit_code, told.exit_code) == (0, 0)
        assert {outcome for outcome, _ in checks_of(told).values()} == {"passed"}
        assert json.loads(told.stdout)["signature_key_id"] == ONE.signer.key_id
        assert f"by {ONE.signer.key_id}" in shown.stdout
        assert f"belong to {tiny_base.model_id}" in shown.stdout

    def test_names_the_signer_without_believing_it(self, package: Path) -> None:
        """What the signature says of itself is no proof without the key."""
        OTHER.sign(package)

        result = verify(package, "--json")

        assert result.exit_code == 0
        assert json.loads(result.stdout)["signature_key_id"] == OTHER.signer.key_id
        assert checks_of(result)["signature"] == ("not checked", "")


class TestSignature:
    """With a list of keys."""

    @pytest.mark.parametrize("operator", [None, OTHER], ids=["unsigned", "by a stranger"])
    def test_of_nobody_on_the_list_is_refused(self, package: Path, keys: Path, operator: OperatorKey | None) -> None:
        """Status 1, and the files' own check still tells that they are whole."""
        if operator is not None:
            operator.sign(package)

        result = verify(package, "--trusted-keys", keys, "--json")

        assert result.exit_code == 1
        assert checks_of(result)["signature"] == ("refused", "SIGNATURE_REFUSED")
        assert json.loads(result.stdout)["signature_key_id"] == (operator.signer.key_id if operator else "")
        assert checks_of(result)["files"] == ("passed", "")

    def test_of_another_form_is_refused_without_a_list_too(self, package: Path) -> None:
        """No trainer writes it."""
        (package / SIGNATURE_NAME).write_bytes(b"{}")

        assert verify(package).exit_code == 1


class TestBaseModel:
    """With the base that it should belong to."""

    def test_that_is_another_is_refused(self, package: Path, tiny_base: BaseModel, tmp_path: Path) -> None:
        """By its digest."""
        other = _copy(tiny_base, tmp_path)
        (other / "config.json").write_bytes(b" " + (other / "config.json").read_bytes())

        result = verify(package, "--base-model", other, "--json")

        assert result.exit_code == 1
        assert checks_of(result)["weights"] == ("refused", "BASE_MODEL_MISMATCH")

    def test_with_another_prompt_template_is_refused(self, package: Path, tiny_base: BaseModel, tmp_path: Path) -> None:
        """As every replica refuses it, though the weights are those of the same base."""
        other = _copy(tiny_base, tmp_path)
        (other / "chat_template.jinja").write_text(
            "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
        )

        result = verify(package, "--base-model", other, "--json")

        assert BaseModel.load(other).digest == tiny_base.digest
        assert result.exit_code == 1
        assert checks_of(result)["weights"] == ("refused", "BASE_MODEL_MISMATCH")
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
            verify(tmp_path / "nowhere"),
            verify(package / MANIFEST_NAME),
            verify(package, "--trusted-keys", tmp_path / "nowhere"),
            verify(package, "--trusted-keys", tmp_path / "none.pem"),
            verify(package, "--base-model", tmp_path / "base"),
        ]
        (tmp_path / "base" / "config.json").write_text("{}")
        (tmp_path / "base" / "tokenizer.json").write_text("{}")
        cases.append(verify(package, "--base-model", tmp_path / "base"))

        broken = _copy(tiny_base, tmp_path)
        (broken / "chat_template.jinja").write_text("{% for")
        cases.append(verify(package, "--base-model", broken))

        assert [case.exit_code for case in cases] == [2] * 7
