"""In which type the engine computes fastest on this machine."""

from __future__ import annotations

import platform

import torch
from vllm.platforms import current_platform


def native_dtype() -> str:
    """bfloat16; float32 on an x86 processor without instructions for bfloat16 (AVX512-BF16, AMX).

    There every operand of a bfloat16 product is widened in every call: the shipped base model decodes about 600 tokens
    a second, and 1,307 in float32 (Xeon with AVX-512 only, one thread, batch 32). The weights are the same, widened
    once: they take twice the memory, and a KV cache of a size holds half of the tokens.
    """
    if not current_platform.is_cpu() or platform.machine() not in ("x86_64", "AMD64"):
        return "bfloat16"
    has_bfloat16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # noqa: SLF001
    return "bfloat16" if has_bfloat16 else "float32"
