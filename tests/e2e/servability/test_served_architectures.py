"""Adapters of bases that are not Llamas, from our training to vLLM; `make bench-architectures` has all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.base_model import BaseModel
from tests.architecture_check import check_architecture

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600), pytest.mark.filterwarnings("ignore")]


class TestServedArchitecture:
    """A tiny base with random weights."""

    @pytest.mark.parametrize("model_type", ["phi3", "gemma2"])
    def test_answers_in_vllm_as_peft_computes(self, model_type: str, shipped_base: BaseModel, tmp_path: Path) -> None:
        """Fused projections, windows, capped scores. Token for token, and what the adapter changes shows."""
        found = check_architecture(model_type, tmp_path, shipped_base)

        assert found.equal_ratio == 1.0
        assert found.base_ratio < 0.9
        assert found.log_probability_error < 1e-3
        assert found.loss_error < 1e-4
