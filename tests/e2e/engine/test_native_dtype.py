"""In which type the engine computes by itself."""

from __future__ import annotations

import pytest
import torch

from inference_svc.engine import native_dtype as module

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]  # vLLM's own imports warn


class TestNativeDtype:
    """What is fast on a machine."""

    @pytest.mark.parametrize(
        ("machine", "avx512_bf16", "amx", "is_cpu", "dtype"),
        [
            ("x86_64", True, False, True, "bfloat16"),
            ("x86_64", False, True, True, "bfloat16"),
            ("x86_64", False, False, True, "float32"),
            ("aarch64", False, False, True, "bfloat16"),
            ("x86_64", False, False, False, "bfloat16"),
        ],
        ids=["AVX512-BF16", "AMX", "neither", "ARM", "GPU"],
    )
    def test_is_bfloat16_unless_the_processor_emulates_it(
        self, machine: str, avx512_bf16: bool, amx: bool, is_cpu: bool, dtype: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Emulated, it takes more than twice the time of float32."""
        monkeypatch.setattr(module.platform, "machine", lambda: machine)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
        monkeypatch.setattr(type(module.current_platform), "is_cpu", lambda self: is_cpu)

        assert module.native_dtype() == dtype
