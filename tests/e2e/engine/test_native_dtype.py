"""In which type the engine computes by itself."""

from __future__ import annotations

import pytest

from inference_svc.engine import native_dtype as module

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]  # vLLM's own imports warn


class TestNativeDtype:
    """What is fast on a machine."""

    @pytest.mark.parametrize(
        ("is_cpu", "emulates", "dtype"),
        [(True, False, "bfloat16"), (True, True, "float32"), (False, True, "bfloat16")],
        ids=["native", "emulated", "GPU"],
    )
    def test_is_bfloat16_unless_the_processor_emulates_it(
        self, is_cpu: bool, emulates: bool, dtype: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Emulated, it takes more than twice the time of float32."""
        monkeypatch.setattr(module, "emulates_bfloat16", lambda: emulates)
        monkeypatch.setattr(type(module.current_platform), "is_cpu", lambda self: is_cpu)

        assert module.native_dtype() == dtype
