"""The type in which adapters are served, as the trainer is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from shared.adapter.package import read_package
from tests.e2e.training_sample import run_here
from trainer_svc.domain.run import RunFolder, ServedType
from trainer_svc.engine import served
from trainer_svc.engine.base import compute_dtype

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]


class TestServedType:
    """Of a run."""

    @pytest.mark.parametrize("served_type", list(ServedType))
    def test_is_what_the_adapter_is_evaluated_in(
        self, prepare: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch, served_type: ServedType
    ) -> None:
        """Base and adapter, whatever the training computes in; the manifest tells it."""
        folder, loaded = prepare(f"served-{served_type}", epoch_count=1, served_type=served_type), []
        load = served.load_served

        def spy(*given: Any) -> Any:  # a PEFT model
            loaded.append(load(*given))
            return loaded[-1]

        monkeypatch.setattr(served, "load_served", spy)

        run_here(folder)

        expected = {"auto": compute_dtype(), "bfloat16": torch.bfloat16, "float32": torch.float32}[served_type]
        assert {parameter.dtype for model in loaded for parameter in model.parameters()} == {expected}
        assert read_package(folder.package).training["served_dtype"] == str(expected)
