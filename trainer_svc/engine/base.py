"""Loads the base model for training and evaluation, whole or in 4 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig

from shared.base_model import BaseModel
from shared.errors import StateConflict
from shared.processor import emulates_bfloat16
from trainer_svc.domain.run import ServedType, TrainingMode


def best_device() -> torch.device:
    """Where models run on this machine."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def compute_dtype() -> torch.dtype:
    """bfloat16; float32 on a processor that only emulates it, as the inference service computes there."""
    return torch.float32 if best_device().type == "cpu" and emulates_bfloat16() else torch.bfloat16


def dtype_of(served: ServedType) -> torch.dtype:
    """In which the inference services compute, on a machine like this one."""
    return compute_dtype() if served is ServedType.AUTO else getattr(torch, served.value)


def load_base(
    folder: Path, mode: TrainingMode, dtype: torch.dtype | None = None
) -> Any:  # a transformers model; the library ships no usable types
    """The frozen base model in evaluation mode: weights in `dtype` for LoRA, NF4 for QLoRA.

    None means `compute_dtype`.
    """
    quantization = None
    if mode is TrainingMode.QLORA:
        quantization = BitsAndBytesConfig(  # type: ignore[no-untyped-call]  # transformers
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=compute_dtype(),
        )
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype or compute_dtype(),
        quantization_config=quantization,
        attn_implementation=attention_implementation(folder),
        local_files_only=True,
    )
    model.requires_grad_(requires_grad=False)
    if quantization is not None:
        keep_quantized_weights(model)
    return model.eval()  # type: ignore[no-untyped-call]  # transformers


def attention_implementation(folder: Path) -> str | None:
    """`eager` for a base whose attention scores are bent towards a bound; None is transformers' own choice.

    That choice, `sdpa`, leaves the bound out without a word (transformers 5.19, integrations/sdpa_attention.py), and
    vLLM serves the base with it.
    """
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    return "eager" if getattr(config, "attn_logit_softcapping", None) else None


def check_projections(model: Any, base: BaseModel) -> None:  # a transformers model
    """Proves that the model has the layers and sizes that `config.json` says by our reading of it.

    Raises:
        StateConflict: BASE_MODEL_MISMATCH naming the first layer that is missing or of another shape; an adapter of it
            would be refused after its training.
    """
    layers = dict(model.named_modules())
    for name, shape in base.projection_shapes(base.architecture.target_modules).items():
        layer = layers.get(name)
        found = (layer.out_features, layer.in_features) if layer is not None else None
        if found != shape:
            raise StateConflict("BASE_MODEL_MISMATCH", f"{base.model_id}: {name} has shape {found}, must be {shape}")


def keep_quantized_weights(model: Any) -> None:  # a transformers model
    """Stops bitsandbytes from repacking 4-bit weights in place.

    On CPUs with AVX512-BF16, `Linear4bit.forward` in evaluation mode repacks its weight and never unpacks it: training
    then loses the gradient through the base (cosine 0.71 after one evaluation) and saving damages the weights by up to
    24 % (bitsandbytes 0.50.2, nn/modules.py; came in with PR #1804).
    """
    from bitsandbytes.nn import Linear4bit  # type: ignore[attr-defined]  # bitsandbytes exports it without saying so

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False
