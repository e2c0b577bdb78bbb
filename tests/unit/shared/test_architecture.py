"""Which architectures there are, and what an adapter of each holds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from shared.architecture import ARCHITECTURES, Architecture, architecture_of
from shared.base_model import BaseModel
from shared.errors import InvalidInput

_README = Path(__file__).parents[3] / "README.md"


def _as(model_type: str, base: BaseModel, folder: Path) -> Path:
    shutil.copytree(base.folder, folder)
    config = json.loads((base.folder / "config.json").read_bytes())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": model_type, "num_key_value_heads": 1}))
    return folder


class TestArchitecture:
    """The register."""

    def test_refuses_what_nobody_has_seen_served(self, tiny_base: BaseModel, tmp_path: Path) -> None:
        """At the start, before anything is trained, with what there is instead."""
        folder = _as("mamba", tiny_base, tmp_path / "base")

        with pytest.raises(InvalidInput, match=r"'mamba' are not supported, must be one of .*llama.*phi3") as caught:
            BaseModel.load(folder)

        assert caught.value.reason == "FIELD_INVALID"

    def test_names_layers_with_their_shapes(self, tiny_base: BaseModel, tmp_path: Path) -> None:
        """Rows and columns follow heads, shared heads and the feed-forward layer; fused ones have several parts."""
        llama = BaseModel.load(_as("llama", tiny_base, tmp_path / "llama"))
        phi = BaseModel.load(_as("phi3", tiny_base, tmp_path / "phi"))

        shapes = llama.projection_shapes(("k_proj", "down_proj"))
        fused = phi.projection_shapes(("qkv_proj", "gate_up_proj"))

        assert shapes == {
            "model.layers.0.self_attn.k_proj": (32, 64),
            "model.layers.0.mlp.down_proj": (64, 128),
            "model.layers.1.self_attn.k_proj": (32, 64),
            "model.layers.1.mlp.down_proj": (64, 128),
        }
        assert fused["model.layers.0.self_attn.qkv_proj"] == (64 + 32 + 32, 64)
        assert fused["model.layers.0.mlp.gate_up_proj"] == (256, 64)

    def test_is_found_by_its_name(self) -> None:
        """As `config.json` has it."""
        assert {name: architecture_of(name).model_type for name in ARCHITECTURES} == {n: n for n in ARCHITECTURES}


class TestReadme:
    """The table that `make bench-architectures` writes."""

    def test_has_a_good_row_for_each(self) -> None:
        """Nothing is supported that was not measured, and nothing is told that is not supported."""
        rows = _rows()

        assert [row[:3] for row in rows] == [_told(architecture) for architecture in ARCHITECTURES.values()]
        assert [row[3:6] for row in rows] == [["yes", "yes", "100.0% of 96"]] * len(ARCHITECTURES)


def _rows() -> list[list[str]]:
    _, _, rest = _README.read_text().partition("<!-- architectures -->\n")
    lines = [line for line in rest.partition("<!-- /architectures -->")[0].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def _told(architecture: Architecture) -> list[str]:
    return [architecture.title, f"`{architecture.model_type}`", ", ".join(architecture.target_modules)]
