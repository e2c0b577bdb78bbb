"""The shipped weights: small enough to commit, complete, finite, and in agreement with configuration and tokenizer."""

import json
import struct
from pathlib import Path
from typing import Any  # JSON

import numpy as np
import pytest

import deploy.base_model

WEIGHTS = Path(deploy.base_model.__file__).parent / "weights"
MOST_BYTES = 12 * 1024 * 1024


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    """config.json."""
    return dict(json.loads((WEIGHTS / "config.json").read_text()))


@pytest.fixture(scope="module")
def tensors() -> dict[str, dict[str, Any]]:
    """The header of the safetensors file, read without any library."""
    with (WEIGHTS / "model.safetensors").open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return dict(header)


class TestShippedWeights:
    """The folder that is committed."""

    def test_folder_is_small(self) -> None:
        """The whole folder stays within 12 MiB."""
        assert sum(file.stat().st_size for file in WEIGHTS.iterdir()) <= MOST_BYTES

    def test_folder_holds_what_loaders_read(self) -> None:
        """Nothing is missing, and no staging file is left behind."""
        assert {
            "config.json",
            "generation_config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
        } == {file.name for file in WEIGHTS.iterdir()}

    def test_configuration_is_plain_llama(self, config: dict[str, Any]) -> None:
        """Architecture, context length and stop id are those that the services rely on."""
        assert config["architectures"] == ["LlamaForCausalLM"]
        assert (
            config["max_position_embeddings"],
            config["eos_token_id"],
            config["pad_token_id"],
            config["bos_token_id"],
        ) == (2048, 1, 0, None)

    def test_vocabulary_agrees(self, config: dict[str, Any], tensors: dict[str, dict[str, Any]]) -> None:
        """Tokenizer, configuration and embedding have as many tokens."""
        tokenizer = json.loads((WEIGHTS / "tokenizer.json").read_text())

        assert (
            len(tokenizer["model"]["vocab"]) == config["vocab_size"] == tensors["model.embed_tokens.weight"]["shape"][0]
        )

    def test_tensors_are_those_of_the_configuration(
        self, config: dict[str, Any], tensors: dict[str, dict[str, Any]]
    ) -> None:
        """Every layer has its nine tensors in bf16; embeddings are tied, so there is no output matrix."""
        parts = (
            "input_layernorm",
            "post_attention_layernorm",
            *(f"self_attn.{name}_proj" for name in "qkvo"),
            *(f"mlp.{name}_proj" for name in ("gate", "up", "down")),
        )
        expected = {
            f"model.layers.{layer}.{part}.weight" for layer in range(config["num_hidden_layers"]) for part in parts
        }

        assert expected | {"model.embed_tokens.weight", "model.norm.weight"} == set(tensors)
        assert {tensor["dtype"] for tensor in tensors.values()} == {"BF16"}

    def test_weights_are_finite_and_trained(self, tensors: dict[str, dict[str, Any]]) -> None:
        """No weight is NaN or infinite, and the norms have left their initial value of one."""
        data = (WEIGHTS / "model.safetensors").read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        weights = np.frombuffer(data, dtype="<u2", offset=8 + length)
        exponents = (weights >> 7) & 0xFF
        begin, end = tensors["model.norm.weight"]["data_offsets"]
        norm = weights[begin // 2 : end // 2]

        assert int(exponents.max()) < 0xFF
        assert len(np.unique(norm)) > 10
