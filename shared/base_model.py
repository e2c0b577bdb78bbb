"""The base model's folder, read without any model library: its shape, its digest, its tokenizer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.architecture import Architecture, Width, architecture_of
from shared.contracts.vocabulary import TokenVocabulary, load_vocabulary
from shared.digest import sha256_file
from shared.errors import InvalidInput
from shared.lazy import cached_property


@dataclass(frozen=True)
class BaseModel:
    """A Hugging Face causal language model directory, as both services see it. All sizes are counts."""

    folder: Path
    model_id: str
    """Logical name, without any path: what an adapter's config names as its base."""
    architecture: Architecture
    vocabulary_size: int
    """Columns of the logits; may exceed the tokenizer's tokens by padding."""
    hidden_size: int
    intermediate_size: int
    layer_count: int
    head_count: int
    kv_head_count: int
    head_size: int
    max_positions: int
    stop_ids: tuple[int, ...]
    """Tokens that end an answer; the first is the one that training teaches."""

    @classmethod
    def load(cls, folder: Path) -> BaseModel:
        """Reads `config.json` and, where present, `generation_config.json`.

        Raises:
            InvalidInput: FIELD_INVALID when the folder is no such directory, lacks a fast tokenizer, or holds a model
                whose adapters are not known to work.
        """
        folder = folder.resolve()
        for needed in ("config.json", "tokenizer.json"):
            if not (folder / needed).is_file():
                raise InvalidInput(
                    "FIELD_INVALID",
                    f"base model folder {folder} has no {needed}",
                    hint="point base_model_dir at a Hugging Face causal language model directory",
                )
        config = _read(folder / "config.json")
        architecture = architecture_of(str(config.get("model_type")))
        heads = int(config["num_attention_heads"])
        eos = _read(folder / "generation_config.json").get("eos_token_id", config.get("eos_token_id"))
        if eos is None:
            raise InvalidInput("FIELD_INVALID", f"base model in {folder} names no eos_token_id")
        return cls(
            folder=folder,
            model_id=str(config.get("goldsmith_model_id") or config.get("_name_or_path") or folder.name).split("/")[-1],
            architecture=architecture,
            vocabulary_size=int(config["vocab_size"]),
            hidden_size=int(config["hidden_size"]),
            intermediate_size=int(config["intermediate_size"]),
            layer_count=int(config["num_hidden_layers"]),
            head_count=heads,
            kv_head_count=int(config.get("num_key_value_heads") or heads),
            head_size=int(config.get("head_dim") or config["hidden_size"] // heads),
            max_positions=int(config["max_position_embeddings"]),
            stop_ids=tuple(eos) if isinstance(eos, list) else (int(eos),),
        )

    @property
    def model_type(self) -> str:
        """Name of the architecture in transformers, such as `llama` or `qwen3`."""
        return self.architecture.model_type

    def projection_shapes(self, modules: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Rows and columns of the weights of these of the architecture's layers, by their full names."""
        sizes = {
            Width.HIDDEN: self.hidden_size,
            Width.INNER: self.intermediate_size,
            Width.QUERIES: self.head_count * self.head_size,
            Width.KEYS: self.kv_head_count * self.head_size,
        }
        chosen = {module: self.architecture.projections[module] for module in modules}
        return {
            f"model.layers.{layer}.{projection.part}.{module}": projection.shape(sizes)
            for layer in range(self.layer_count)
            for module, projection in chosen.items()
        }

    @property
    def tokenizer_file(self) -> Path:
        """The fast tokenizer's definition."""
        return self.folder / "tokenizer.json"

    @cached_property
    def digest(self) -> str:
        """`sha256:<hex>` over config and weights: what an adapter must have been trained on."""
        files = [self.folder / "config.json", *sorted(self.folder.glob("*.safetensors"))]
        lines = [f"{path.name} {sha256_file(path)}\n" for path in files]
        return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def weights_bytes(self) -> int:
        """Size of the weights on disk."""
        return sum(path.stat().st_size for path in self.folder.glob("*.safetensors"))

    def vocabulary(self) -> TokenVocabulary:
        """The tokens that contracts are compiled over."""
        return load_vocabulary(self.tokenizer_file, size=self.vocabulary_size, eos_id=self.stop_ids[0])


def _read(path: Path) -> dict[str, Any]:  # Any: JSON of other people's making
    body: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return body
