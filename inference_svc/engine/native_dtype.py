"""In which type the engine computes fastest on this machine."""

from __future__ import annotations

from vllm.platforms import current_platform

from shared.processor import emulates_bfloat16


def native_dtype() -> str:
    """bfloat16; float32 on a processor that only emulates it.

    The weights are the same, widened once: they take twice the memory, and a KV cache of a size holds half of the
    tokens.
    """
    return "float32" if current_platform.is_cpu() and emulates_bfloat16() else "bfloat16"
