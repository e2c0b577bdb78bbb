"""Our own training code computes what transformers and PEFT compute, for every architecture that is supported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft.tuners.lora.layer import LoraLayer

from shared.architecture import ARCHITECTURES
from shared.base_model import BaseModel
from shared.contracts.compiler import ContractCompiler
from shared.errors import StateConflict
from shared.prompt import PromptRenderer
from tests.architecture_check import in_float32
from tests.architecture_sample import tiny_base
from tests.e2e.training_sample import CONTRACT, rows
from trainer_svc.curation.compiled_example import IGNORED, compile_examples
from trainer_svc.domain.plan import TrainingPlan
from trainer_svc.engine.adapter import new_adapter
from trainer_svc.engine.base import check_projections
from trainer_svc.engine.batching import collate
from trainer_svc.engine.decoding import Constrained, allowed_tokens
from trainer_svc.engine.generation import generate
from trainer_svc.engine.loss import completion_loss

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore")]

_PLAN = TrainingPlan(rank=4, alpha=8.0, learning_rate=1e-3, epoch_count=1, batch_size=2, step_count=1)


@pytest.fixture(scope="module", params=list(ARCHITECTURES))
def base(
    request: pytest.FixtureRequest, shipped_base: BaseModel, tmp_path_factory: pytest.TempPathFactory
) -> BaseModel:
    """A tiny one of each, with windows shorter than the rows, scales and caps where it has them."""
    return tiny_base(request.param, tmp_path_factory.mktemp("architecture") / "base", shipped_base)


def _adapted(base: BaseModel) -> Any:  # a PEFT model
    """With an adapter that does something."""
    torch.manual_seed(0)
    model = new_adapter(in_float32(base), [], _PLAN)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)
    return model


def _batch(base: BaseModel) -> dict[str, torch.Tensor]:
    return collate(compile_examples(rows(4), PromptRenderer.load(base), base.max_positions))


class TestArchitecture:
    """Each in `ARCHITECTURES`."""

    def test_has_the_layers_that_an_adapter_of_it_names(self, base: BaseModel) -> None:
        """Names and shapes are the model's own; nothing linear in its blocks is left out."""
        model = in_float32(base)
        linear = {name for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear)}

        check_projections(model, base)

        assert set(base.projection_shapes(base.architecture.target_modules)) == linear - {"lm_head"}

    def test_learns_by_the_loss_of_transformers(self, base: BaseModel) -> None:
        """Scaled and capped logits, windows, caps and scales of attention: in value and gradient."""
        batch, model = _batch(base), _adapted(base)
        ids, labels = batch["input_ids"], batch["labels"]
        learning = [weight for weight in model.parameters() if weight.requires_grad]

        ours = completion_loss(model, ids, labels) / (labels[:, 1:] != IGNORED).sum()
        gradient = torch.autograd.grad(ours, learning)
        reference = _as_transformers_computes(model)
        theirs = reference(input_ids=ids, attention_mask=batch["attention_mask"], labels=labels).loss
        their_gradient = torch.autograd.grad(theirs, learning)

        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)
        for own, other in zip(gradient, their_gradient, strict=True):
            torch.testing.assert_close(own, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()) + 1e-7)

    def test_answers_in_a_batch_as_alone(self, base: BaseModel, tmp_path: Path) -> None:
        """Padding, the cache and windows shorter than a prompt change no token."""
        renderer, contract = PromptRenderer.load(base), ContractCompiler(tmp_path, base.vocabulary()).compile(CONTRACT)
        prompts = [renderer.prompt_ids("x" * count) for count in (1, 10, 40)]
        model = _adapted(base).eval()

        answers = generate(model, Constrained(contract), prompts, base.max_positions)

        assert answers == [_alone(model, contract, prompt, len(answer)) for prompt, answer in _pairs(prompts, answers)]


def _pairs(prompts: list[list[int]], answers: list[list[int]]) -> list[tuple[list[int], list[int]]]:
    return list(zip(prompts, answers, strict=True))


def _as_transformers_computes(model: Any) -> Any:  # a PEFT model
    for module in model.modules():
        if isinstance(module, LoraLayer):
            module.cast_input_dtype_enabled = True
            module.lora_variant.clear()  # type: ignore[operator]  # a dictionary
    model.get_base_model().set_attn_implementation("eager")
    return model


@torch.inference_mode()
def _alone(model: Any, contract: Any, prompt: list[int], count: int) -> list[int]:  # a PEFT model, a contract
    """Without cache or padding, a token at a time."""
    guide, ids = contract.guide(), list(prompt)
    for _ in range(count):
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
        allowed = torch.from_numpy(allowed_tokens(guide, 512 - (len(ids) - len(prompt))))
        token = int(allowed[logits[allowed].argmax()])
        guide.advance(token)
        ids.append(token)
    return ids[len(prompt) :]


class TestCheckProjections:
    """A configuration that we read otherwise than transformers does."""

    def test_refuses_a_model_of_another_shape(self, shipped_base: BaseModel, tmp_path: Path) -> None:
        """Before a step is taken: its adapter would be refused after the training."""
        llama = tiny_base("llama", tmp_path / "llama", shipped_base)
        other = tiny_base("phi3", tmp_path / "phi3", shipped_base)

        with pytest.raises(StateConflict, match="qkv_proj has shape None") as caught:
            check_projections(in_float32(llama), other)

        assert caught.value.reason == "BASE_MODEL_MISMATCH"
