"""An adapter folded into its base model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from shared.adapter.package import WEIGHTS_NAME
from shared.base_model import BaseModel
from tests.adapter_file import write_random_package
from tests.e2e.training_sample import CONTRACT
from trainer_svc.merge import main

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]


@pytest.fixture
def package(base: BaseModel, tmp_path: Path) -> Path:
    """An adapter of random weights for it."""
    write_random_package(base, tmp_path / "package", rank=64, seed=1, prompt_digest="", contract="", spec=CONTRACT)
    return tmp_path / "package"


def _merge(package: Path, base: BaseModel, folder: Path) -> int:
    return main([str(package), str(base.folder), str(folder)])


class TestMerge:
    """`python -m trainer_svc.merge`."""

    def test_answers_as_the_adapter_does(self, base: BaseModel, package: Path, tmp_path: Path) -> None:
        """Logits differ by what rounding the sum to bfloat16 costs, and far more from those of the base alone."""
        ids = torch.tensor([[5, 9, 40, 2, 7, 30]])

        assert _merge(package, base, tmp_path / "merged") == 0

        plain = AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32)
        alone = plain(input_ids=ids).logits.detach()
        adapted = PeftModel.from_pretrained(plain, package)(input_ids=ids).logits.detach()
        merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)(input_ids=ids).logits
        assert (merged - adapted).norm() / adapted.norm() < 0.01
        assert (alone - adapted).norm() / adapted.norm() > 0.05

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

    def test_a_folder_that_exists_is_left_alone(
        self, base: BaseModel, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """It may be another model."""
        (tmp_path / "merged").mkdir()

        assert _merge(package, base, tmp_path / "merged") == 1

        assert "RESOURCE_EXISTS" in capsys.readouterr().err
        assert not list((tmp_path / "merged").iterdir())
