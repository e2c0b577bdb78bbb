"""An adapter folded into its base model."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from shared.adapter.manifest import AdapterManifest
from shared.adapter.package import MANIFEST_NAME, WEIGHTS_NAME, read_package
from shared.base_model import BaseModel
from shared.digest import sha256_file
from shared.prompt import PromptRenderer
from tests.adapter_file import write_random_package
from tests.cyclonedx_schema import assert_cyclonedx
from tests.e2e.training_sample import CONTRACT, run_here, write_run
from tests.operator_key import OperatorKey
from trainer_svc.domain.run import TrainingMode
from trainer_svc.engine import merge as engine_merge
from trainer_svc.engine.base import load_base
from trainer_svc.engine.export import load_served
from trainer_svc.merge import main

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def qlora_package(base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that was trained on the base in 4 bits."""
    folder = write_run(tmp_path_factory.mktemp("runs") / "run", base, mode=TrainingMode.QLORA)
    run_here(folder)
    return folder.package


@pytest.fixture
def package(base: BaseModel, tmp_path: Path) -> Path:
    """An adapter of random weights for it."""
    digest = PromptRenderer.load(base).digest
    write_random_package(base, tmp_path / "package", rank=64, seed=1, prompt_digest=digest, contract="", spec=CONTRACT)
    return tmp_path / "package"


def _merge(package: Path, base: BaseModel, folder: Path, *options: str) -> int:
    return main([str(package), str(base.folder), str(folder), *options])


def _logits(model: Any) -> torch.Tensor:  # a transformers or PEFT model
    return model.eval()(input_ids=torch.tensor([[5, 9, 40, 2, 7, 30]])).logits.detach().float()


def _distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm())


class TestMerge:
    """`python -m trainer_svc.merge`."""

    def test_answers_as_the_adapter_does(self, base: BaseModel, package: Path, tmp_path: Path) -> None:
        """Logits differ by what rounding the sum to bfloat16 costs, and far more from those of the base alone."""
        assert _merge(package, base, tmp_path / "merged") == 0

        plain = AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32)
        alone = _logits(plain)
        adapted = _logits(PeftModel.from_pretrained(plain, package))
        merged = _logits(AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32))
        assert _distance(merged, adapted) < 0.01
        assert _distance(alone, adapted) > 0.05

    def test_is_another_model_with_the_same_tokenizer(self, base: BaseModel, package: Path, tmp_path: Path) -> None:
        """Its id is its own, so that no adapter of the base fits it, and nothing of an adapter is left in it."""
        _merge(package, base, tmp_path / "merged")

        merged = BaseModel.load(tmp_path / "merged")
        assert merged.model_id.startswith(f"{base.model_id}-")
        assert merged.digest != base.digest
        assert (merged.folder / "tokenizer.json").read_bytes() == (base.folder / "tokenizer.json").read_bytes()
        assert not list(merged.folder.glob("adapter*"))
        assert json.loads((merged.folder / "config.json").read_text())["dtype"] == "bfloat16"

    def test_a_damaged_package_is_refused(
        self, base: BaseModel, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Nothing is written."""
        data = bytearray((package / WEIGHTS_NAME).read_bytes())
        data[-1] ^= 1
        (package / WEIGHTS_NAME).write_bytes(data)

        assert _merge(package, base, tmp_path / "merged") == 1

        assert "DIGEST_MISMATCH" in capsys.readouterr().err
        assert not (tmp_path / "merged").exists()

    def test_another_base_is_refused(
        self, base: BaseModel, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Merged into other weights an adapter means nothing."""
        shutil.copytree(base.folder, tmp_path / "other")
        config = json.loads((tmp_path / "other" / "config.json").read_text())
        (tmp_path / "other" / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-3}))

        assert main([str(package), str(tmp_path / "other"), str(tmp_path / "merged")]) == 1

        assert "BASE_MODEL_MISMATCH" in capsys.readouterr().err

    def test_says_what_it_is_made_of(self, base: BaseModel, package: Path, tmp_path: Path) -> None:
        """A bill in its folder names base and adapter by their digests, and every other file by its own."""
        _merge(package, base, tmp_path / "merged")

        bill = json.loads((tmp_path / "merged" / "provenance.cdx.json").read_bytes())
        assert_cyclonedx(bill)
        made = bill["metadata"]["component"]
        assert made["name"] == BaseModel.load(tmp_path / "merged").model_id
        ancestors = [ancestor["version"] for ancestor in made["pedigree"]["ancestors"]]
        assert ancestors == [base.digest, read_package(package).digest]
        hashes = {file["name"]: f"sha256:{file['hashes'][0]['content']}" for file in made["components"]}
        others = {path.name for path in (tmp_path / "merged").iterdir()} - {"provenance.cdx.json"}
        assert hashes == {name: sha256_file(tmp_path / "merged" / name) for name in others}

    def test_takes_only_what_is_signed_where_there_are_keys(
        self, base: BaseModel, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """By one of them; a file that holds none is refused too."""
        operator = OperatorKey(1)
        keys = ("--trusted-keys", str(tmp_path / "keys"))
        refused = [_merge(package, base, tmp_path / "merged", *keys)]
        (tmp_path / "keys").write_bytes(operator.public_pem)
        refused.append(_merge(package, base, tmp_path / "merged", *keys))
        reasons = capsys.readouterr().err
        operator.sign(package)

        assert _merge(package, base, tmp_path / "merged", *keys) == 0

        assert refused == [1, 1]
        assert re.findall("[A-Z]+_[A-Z]+", reasons) == ["FIELD_INVALID", "SIGNATURE_REFUSED"]

    def test_the_signature_is_of_what_is_merged(
        self, base: BaseModel, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        """A manifest that is swapped for a signed one once it was read is refused: the one that was read is not."""
        operator, path = OperatorKey(1), package / MANIFEST_NAME
        (tmp_path / "keys").write_bytes(operator.public_pem)
        operator.sign(package)
        signed = path.read_bytes()
        path.write_bytes(json.dumps(json.loads(signed) | {"contract_name": "tenants/evil/contracts/any"}).encode())

        def read(folder: Path, digest: str | None = None) -> AdapterManifest:
            manifest = read_package(folder, digest)
            path.write_bytes(signed)
            return manifest

        monkeypatch.setattr(engine_merge, "read_package", read)

        assert _merge(package, base, tmp_path / "merged", "--trusted-keys", str(tmp_path / "keys")) == 1

        assert "SIGNATURE_REFUSED" in capsys.readouterr().err
        assert not (tmp_path / "merged").exists()

    def test_another_prompt_template_is_refused(
        self, base: BaseModel, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The merged model would be asked in words that the adapter never saw."""
        shutil.copytree(base.folder, tmp_path / "other")
        template = "{% for message in messages %}{{ message.content }}{% endfor %}"
        (tmp_path / "other" / "chat_template.jinja").write_text(template)

        assert main([str(package), str(tmp_path / "other"), str(tmp_path / "merged")]) == 1

        assert "prompt template" in capsys.readouterr().err

    def test_holds_no_weights_but_its_own(self, base: BaseModel, package: Path, tmp_path: Path) -> None:
        """Bases bring theirs in several frameworks' forms; whatever else they bring is kept."""
        rich = tmp_path / "rich"
        shutil.copytree(base.folder, rich)
        (rich / "original").mkdir()
        for name in ("original/consolidated.00.pth", "tf_model.h5", "flax_model.msgpack", "model.onnx", "old.pt"):
            (rich / name).write_bytes(b"the base's weights")
        (rich / "original" / "params.json").write_text("{}")

        assert main([str(package), str(rich), str(tmp_path / "merged")]) == 0

        merged = tmp_path / "merged"
        kept = {path.relative_to(merged).as_posix() for path in merged.rglob("*") if path.is_file()}
        own = {path.name for path in base.folder.iterdir()} | {"provenance.cdx.json"}
        assert kept == own | {"original/params.json"}

    def test_removes_nothing_of_others(self, base: BaseModel, package: Path, tmp_path: Path) -> None:
        """Neither what has a name like that of its unfinished work, nor leaves any of that behind."""
        (tmp_path / "merged.partial").mkdir()
        (tmp_path / "merged.partial" / "mine").touch()

        assert _merge(package, base, tmp_path / "merged") == 0

        assert (tmp_path / "merged.partial" / "mine").exists()
        assert {path.name for path in tmp_path.iterdir()} == {"package", "merged", "merged.partial"}

    def test_a_folder_that_appears_meanwhile_is_left_alone(
        self, base: BaseModel, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        """As one that was there before: who is told that it was merged finds the merged model."""
        whole = engine_merge.merged_bill

        def overtaken(*given: Any) -> bytes:  # Any: what the function takes
            (tmp_path / "merged").mkdir()
            (tmp_path / "merged" / "mine").touch()
            return whole(*given)

        monkeypatch.setattr(engine_merge, "merged_bill", overtaken)

        assert _merge(package, base, tmp_path / "merged") == 1

        assert "RESOURCE_EXISTS" in capsys.readouterr().err
        assert {path.name for path in tmp_path.iterdir()} == {"package", "merged"}
        assert [path.name for path in (tmp_path / "merged").iterdir()] == ["mine"]

    def test_what_cannot_be_used_is_told_in_words(
        self, base: BaseModel, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """No package, a base without its config's entries or with garbage for it, a place that cannot be written."""
        (tmp_path / "file").touch()
        for name, config in (("lacking", '{"model_type": "llama"}'), ("garbage", "{")):
            shutil.copytree(base.folder, tmp_path / name)
            (tmp_path / name / "config.json").write_text(config)

        ends = [
            _merge(tmp_path / "nowhere", base, tmp_path / "merged"),
            main([str(package), str(tmp_path / "lacking"), str(tmp_path / "merged")]),
            main([str(package), str(tmp_path / "garbage"), str(tmp_path / "merged")]),
            _merge(package, base, tmp_path / "file" / "merged"),
        ]

        assert ends == [1] * 4
        told = [line.split(":")[0] for line in capsys.readouterr().err.splitlines()]
        assert told == ["ADAPTER_REJECTED", "FIELD_INVALID", "FIELD_INVALID", "not merged"]

    def test_a_folder_that_exists_is_left_alone(
        self, base: BaseModel, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """It may be another model."""
        (tmp_path / "merged").mkdir()

        assert _merge(package, base, tmp_path / "merged") == 1

        assert "RESOURCE_EXISTS" in capsys.readouterr().err
        assert not list((tmp_path / "merged").iterdir())


class TestDequantizedBase:
    """`--dequantized-base`, for adapters of QLoRA."""

    def test_computes_as_the_training_did(self, base: BaseModel, qlora_package: Path, tmp_path: Path) -> None:
        """Its logits differ from those of the 4-bit base under the adapter by rounding, far less than without it."""
        assert _merge(qlora_package, base, tmp_path / "near", "--dequantized-base") == 0
        assert _merge(qlora_package, base, tmp_path / "served") == 0

        trained = _logits(load_served(load_base(base.folder, TrainingMode.QLORA), qlora_package))
        near, served = (
            _distance(_logits(AutoModelForCausalLM.from_pretrained(tmp_path / name, dtype=torch.float32)), trained)
            for name in ("near", "served")
        )
        assert near < 0.02
        assert near < served / 2

    def test_is_another_model_without_quantization(self, base: BaseModel, qlora_package: Path, tmp_path: Path) -> None:
        """Engines load it as any bf16 model, and its id and bill tell it from the other merge."""
        _merge(qlora_package, base, tmp_path / "near", "--dequantized-base")
        _merge(qlora_package, base, tmp_path / "served")

        near, served = (BaseModel.load(tmp_path / name) for name in ("near", "served"))
        assert near.model_id == f"{served.model_id}-nf4"
        assert near.digest != served.digest
        assert "quantization_config" not in json.loads((near.folder / "config.json").read_bytes())
        bill = json.loads((near.folder / "provenance.cdx.json").read_bytes())
        assert "dequantized weights" in bill["metadata"]["component"]["description"]

    def test_is_refused_for_other_adapters(
        self, base: BaseModel, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """They never saw such weights."""
        assert _merge(package, base, tmp_path / "merged", "--dequantized-base") == 1

        assert "dequantized_base: is for adapters that QLoRA trained" in capsys.readouterr().err
        assert not (tmp_path / "merged").exists()
