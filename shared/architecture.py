"""The architectures whose adapters can be trained and served, and which linear layers of theirs an adapter changes.

Names are those of transformers, as PEFT writes them into an adapter and vLLM 0.32 reads them. Embeddings and heads are
left alone: vLLM serves adapters of those unreliably. An architecture belongs here once `make bench-architectures` has
trained it, served it, and found the same answers; whatever is not here is refused.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from shared.errors import InvalidInput


class Width(enum.StrEnum):
    """Sizes of a base model between which its projections map."""

    HIDDEN = "hidden"
    INNER = "inner"
    """Of the feed-forward layer."""
    QUERIES = "queries"
    """Heads times the size of a head."""
    KEYS = "keys"
    """As `QUERIES`, of heads that share keys and values."""


@dataclass(frozen=True)
class Projection:
    """One linear layer of each block."""

    part: str
    """Of the block, that holds it: `self_attn` or `mlp`."""
    reads: Width
    writes: tuple[Width, ...]
    """Several where one matrix stands for several projections, in their order."""

    def shape(self, sizes: Mapping[Width, int]) -> tuple[int, int]:
        """Rows and columns of its weight: `(out, in)`."""
        return sum(sizes[width] for width in self.writes), sizes[self.reads]


_HIDDEN, _INNER, _QUERIES, _KEYS = Width.HIDDEN, Width.INNER, Width.QUERIES, Width.KEYS
_ATTENTION = {
    "q_proj": Projection("self_attn", _HIDDEN, (_QUERIES,)),
    "k_proj": Projection("self_attn", _HIDDEN, (_KEYS,)),
    "v_proj": Projection("self_attn", _HIDDEN, (_KEYS,)),
    "o_proj": Projection("self_attn", _QUERIES, (_HIDDEN,)),
}
_GATED = {
    "gate_proj": Projection("mlp", _HIDDEN, (_INNER,)),
    "up_proj": Projection("mlp", _HIDDEN, (_INNER,)),
    "down_proj": Projection("mlp", _INNER, (_HIDDEN,)),
}
_SEPARATE = {**_ATTENTION, **_GATED}
"""As in Llama."""
_UNGATED = {**_ATTENTION, "up_proj": _GATED["up_proj"], "down_proj": _GATED["down_proj"]}
_FUSED = {
    "qkv_proj": Projection("self_attn", _HIDDEN, (_QUERIES, _KEYS, _KEYS)),
    "o_proj": _ATTENTION["o_proj"],
    "gate_up_proj": Projection("mlp", _HIDDEN, (_INNER, _INNER)),
    "down_proj": _GATED["down_proj"],
}
_CODER = {
    **_ATTENTION,
    "c_fc": Projection("mlp", _HIDDEN, (_INNER,)),
    "c_proj": Projection("mlp", _INNER, (_HIDDEN,)),
}


@dataclass(frozen=True)
class Architecture:
    """A kind of causal language model."""

    model_type: str
    """Of `config.json`."""
    title: str
    projections: Mapping[str, Projection]
    """By the last part of the layer's name."""

    @property
    def target_modules(self) -> tuple[str, ...]:
        """Layers that adapters change: all linear ones of each block."""
        return tuple(self.projections)


ARCHITECTURES: dict[str, Architecture] = {
    model_type: Architecture(model_type, title, projections)
    for model_type, title, projections in (
        ("apertus", "Apertus", _UNGATED),
        ("arcee", "Arcee", _UNGATED),
        ("cohere", "Cohere (Command R)", _SEPARATE),
        ("exaone4", "EXAONE 4", _SEPARATE),
        ("gemma", "Gemma", _SEPARATE),
        ("gemma2", "Gemma 2", _SEPARATE),
        ("gemma3_text", "Gemma 3 (text)", _SEPARATE),
        ("granite", "Granite", _SEPARATE),
        ("hunyuan_v1_dense", "Hunyuan (dense)", _SEPARATE),
        ("llama", "Llama", _SEPARATE),
        ("ministral3", "Ministral 3", _SEPARATE),
        ("mistral", "Mistral", _SEPARATE),
        ("nemotron", "Nemotron", _UNGATED),
        ("olmo", "OLMo", _SEPARATE),
        ("olmo2", "OLMo 2", _SEPARATE),
        ("olmo3", "OLMo 3", _SEPARATE),
        ("phi3", "Phi-3", _FUSED),
        ("qwen2", "Qwen 2", _SEPARATE),
        ("qwen3", "Qwen 3", _SEPARATE),
        ("seed_oss", "Seed-OSS", _SEPARATE),
        ("smollm3", "SmolLM 3", _SEPARATE),
        ("starcoder2", "StarCoder 2", _CODER),
    )
}
"""By `model_type`. Cohere 2 is left out: in layers with a window vLLM 0.32 looks one token further back than
transformers 5.19 (models/commandr.py), and chose another token at 8 of 96 places."""


def architecture_of(model_type: str) -> Architecture:
    """The architecture of that name.

    Raises:
        InvalidInput: FIELD_INVALID, nobody has seen adapters of it trained and served.
    """
    found = ARCHITECTURES.get(model_type)
    if found is None:
        raise InvalidInput(
            "FIELD_INVALID",
            f"base models of the architecture {model_type[:80]!r} are not supported, must be one of"
            f" {', '.join(ARCHITECTURES)}",
            hint="point base_model_dir at a text model of one of these architectures",
        )
    return found
