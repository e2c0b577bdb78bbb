"""A tiny base model with random weights of each architecture that is supported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from shared.base_model import BaseModel

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")
_SIZES = {
    "hidden_size": 128,
    "intermediate_size": 192,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 512,
    "bos_token_id": None,
    "tie_word_embeddings": True,
}
# What makes an architecture differ from Llama, where its defaults would not show it in a model of this size: windows
# shorter than the rows, scores and logits that are scaled or bent.
_OWN: dict[str, dict[str, Any]] = {
    "cohere": {"logit_scale": 0.7, "use_qk_norm": True},
    "exaone4": {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]},
    "gemma2": {
        "sliding_window": 16, "query_pre_attn_scalar": 24, "attn_logit_softcapping": 5.0,
        "final_logit_softcapping": 8.0,
    },
    "gemma3_text": {
        "sliding_window": 16, "query_pre_attn_scalar": 24, "layer_types": ["sliding_attention", "full_attention"],
    },
    "granite": {
        "attention_multiplier": 0.3, "embedding_multiplier": 3.0, "logits_scaling": 1.5, "residual_multiplier": 0.5,
    },
    "mistral": {"sliding_window": 16},
    "olmo3": {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]},
    "phi3": {"sliding_window": 16},
    "starcoder2": {"sliding_window": 16},
}  # fmt: skip
_WITHOUT_HEAD_SIZE = frozenset({"phi3", "qwen2", "starcoder2"})
"""Their models ask the configuration for one and divide the width by the heads where it has none."""
_SPREAD = 8.0
"""Weights are so many times as large as those that a training begins with: else all tokens are about as likely, and
which one is greedy is decided by rounding."""


def tiny_base(model_type: str, folder: Path, tokenizer_of: BaseModel, dtype: torch.dtype = torch.bfloat16) -> BaseModel:
    """Writes the base model, the same weights each time, with the tokenizer of another."""
    folder.mkdir(parents=True)
    for name in _TOKENIZER_FILES:
        shutil.copyfile(tokenizer_of.folder / name, folder / name)
    own = json.loads((tokenizer_of.folder / "config.json").read_bytes())
    tokens = {name: own[name] for name in ("vocab_size", "eos_token_id", "pad_token_id")}
    options = {**_SIZES, **tokens, **_OWN.get(model_type, {})}
    if model_type in _WITHOUT_HEAD_SIZE:
        del options["head_dim"]
    config = AutoConfig.for_model(model_type, **options)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.mul_(_SPREAD)
            elif name.endswith(".bias"):
                weight.normal_(std=0.1)
    model.to(dtype).save_pretrained(folder)
    _name(folder / "config.json", model_type)
    # save_pretrained writes one of its own
    shutil.copyfile(tokenizer_of.folder / "generation_config.json", folder / "generation_config.json")
    return BaseModel.load(folder)


def _name(config: Path, model_type: str) -> None:
    body = json.loads(config.read_bytes())
    config.write_text(json.dumps({**body, "goldsmith_model_id": f"tiny-{model_type}"}))
