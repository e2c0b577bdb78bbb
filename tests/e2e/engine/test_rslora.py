"""Adapters whose update is divided by the root of the rank, in a real vLLM engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from inference_svc.domain.residency import AdapterKey
from shared.base_model import BaseModel
from tests.e2e.engine.bench import Bench
from trainer_svc.domain.plan import TrainingPlan
from trainer_svc.domain.run import TrainingMode
from trainer_svc.engine.adapter import new_adapter
from trainer_svc.engine.base import compute_dtype, load_base
from trainer_svc.engine.decoding import Constrained
from trainer_svc.engine.export import load_served, save_adapter
from trainer_svc.engine.generation import generate

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.filterwarnings("ignore"),  # vLLM's own imports warn
]

_RANK, _ALPHA = 4, 8.0
"""Divided by the rank 2, by its root 4."""
_TEXT, _EXTRA_TOKENS = 4, 40
"""The bench's contract of free text, which leaves an adapter the most to say."""
_COUNT = 6


class TestRslora:
    """One adapter, once with `use_rslora` and once without; all else is the same."""

    async def test_is_served_as_peft_computes_it(self, bench: Bench, shipped_base: BaseModel, tmp_path: Path) -> None:
        """Greedy answers of both are PEFT's own, and the setting alone changes each of them.

        In bfloat16 half of them: PEFT's own in that type are those in float32 for four of six.
        """
        folders = [_written(shipped_base, tmp_path / f"rslora-{use}", use_rslora=use) for use in (True, False)]
        expected = [_answers_of_peft(bench, shipped_base, folder) for folder in folders]

        served = [await _answers(bench, folder) for folder in folders]

        stabilised, plain = served
        assert not any(one == other for one, other in zip(stabilised, plain, strict=True))
        least = _COUNT if compute_dtype() is torch.float32 else _COUNT / 2
        for ours, theirs in zip(served, expected, strict=True):
            assert sum(one == other for one, other in zip(ours, theirs, strict=True)) >= least


def _prompts(bench: Bench) -> list[list[int]]:
    return [list(bench.renderer.prompt_ids(f"Invoice {index} from nobody")) for index in range(_COUNT)]


def _written(base: BaseModel, folder: Path, *, use_rslora: bool) -> Path:
    """The same random weights each time, in the files that the trainer writes."""
    plan = TrainingPlan(_RANK, _ALPHA, 1e-3, epoch_count=1, batch_size=1, step_count=1, use_rslora=use_rslora)
    torch.manual_seed(0)
    model = new_adapter(load_base(base.folder, TrainingMode.LORA), [], plan)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    save_adapter(model, plan, base, folder)
    return folder


def _answers_of_peft(bench: Bench, base: BaseModel, folder: Path) -> list[list[int]]:
    model, contract = load_served(load_base(base.folder, TrainingMode.LORA), folder), bench.contracts[_TEXT]
    return generate(
        model, Constrained(contract), _prompts(bench), 1024, output_tokens=contract.min_tokens + _EXTRA_TOKENS
    )


async def _answers(bench: Bench, folder: Path) -> list[list[int]]:
    key = AdapterKey(f"acme/{folder.name}@0", str(folder))
    await bench.engine.add_adapter(key)
    calls = [
        replace(bench.call(_TEXT, extra=_EXTRA_TOKENS, temperature=0.0), prompt_ids=prompt, adapter=key)
        for prompt in _prompts(bench)
    ]
    answers = [await bench.tokens(call) for call in calls]
    await bench.engine.remove_adapter(key)
    return answers
