"""Ways of training an adapter that the job may choose: each gives a package that can be served."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from shared.base_model import BaseModel
from shared.errors import InvalidInput
from shared.prompt import PromptRenderer
from tests.e2e.training_sample import rows
from trainer_svc.curation.compiled_example import IGNORED, Example, compile_examples
from trainer_svc.domain.plan import TrainingPlan
from trainer_svc.domain.run import Cancelled, Initialization, TrainingMode
from trainer_svc.engine.adapter import new_adapter
from trainer_svc.engine.base import load_base
from trainer_svc.engine.training import AdapterTrainer, training_arguments

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]


def _plan(**settings: object) -> TrainingPlan:
    return TrainingPlan(**{
        "rank": 4, "alpha": 8.0, "learning_rate": 1e-3, "epoch_count": 1, "batch_size": 8, "step_count": 5, **settings
    })  # fmt: skip


def _model(base: BaseModel, plan: TrainingPlan) -> torch.nn.Module:
    torch.manual_seed(0)
    examples = compile_examples(rows(40), PromptRenderer.load(base), 512)
    return new_adapter(load_base(base.folder, TrainingMode.LORA), examples, plan)


def _matrices(model: torch.nn.Module, side: str) -> dict[str, torch.Tensor]:
    return {name: weight.detach() for name, weight in model.named_parameters() if f"lora_{side}" in name}


class TestInitialization:
    """Where the first matrix begins."""

    @pytest.mark.parametrize("initialization", list(Initialization))
    def test_the_untrained_adapter_changes_nothing(
        self, base: BaseModel, initialization: Initialization, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The second matrix is zero, every layer has the plan's rank, and the base's weights are those of the file.

        What learns is float32, whatever the base computes in.
        """
        monkeypatch.setattr("trainer_svc.engine.base.compute_dtype", lambda: torch.bfloat16)
        model = _model(base, _plan(initialization=initialization))
        assert {weight.dtype for weight in model.parameters() if weight.requires_grad} == {torch.float32}

        assert all(not weight.any() for weight in _matrices(model, "B").values())
        assert {weight.shape[0] for weight in _matrices(model, "A").values()} == {4}
        untouched = load_base(base.folder, TrainingMode.LORA).model.layers[0].mlp.up_proj.weight
        assert torch.equal(model.get_base_model().model.layers[0].mlp.up_proj.base_layer.weight, untouched)

    def test_eva_spans_what_the_layers_see(self, base: BaseModel) -> None:
        """Rows of the first matrix are orthogonal directions, and of the inputs' variance they hold more than noise."""
        noise = _matrices(_model(base, _plan()), "A")
        found = _matrices(_model(base, _plan(initialization=Initialization.EVA)), "A")
        name = next(name for name in found if "up_proj" in name)

        directions = torch.nn.functional.normalize(found[name].float(), dim=1)

        torch.testing.assert_close(directions @ directions.T, torch.eye(4), atol=2e-2, rtol=0)
        assert not torch.equal(found[name], noise[name])
        assert _held(base, name, found[name]) > 1.5 * _held(base, name, noise[name])

    @pytest.mark.timeout(120)  # without bounds it never ends
    def test_eva_has_an_end(self, base: BaseModel) -> None:
        """Rows with fewer tokens than the rank have no such directions; a run that shall stop stops there, too."""
        short = [Example((5, 6), (IGNORED, 6), 1)] * 4
        plan = _plan(rank=64, batch_size=1, initialization=Initialization.EVA)

        with pytest.raises(InvalidInput) as caught:
            new_adapter(load_base(base.folder, TrainingMode.LORA), short, plan)
        with pytest.raises(Cancelled):
            new_adapter(load_base(base.folder, TrainingMode.LORA), short, plan, lambda: True)

        assert caught.value.violations[0].path == "job.spec.initialization"

    def test_eva_takes_short_answers(self, base: BaseModel) -> None:
        """Rows are put together until a batch has enough tokens for a high rank."""
        model = _model(base, _plan(rank=32, batch_size=1, initialization=Initialization.EVA))

        assert {weight.shape[0] for weight in _matrices(model, "A").values()} == {32}


def _held(base: BaseModel, name: str, matrix: torch.Tensor) -> float:
    """Share of a layer's input variance that lies in the span of the matrix's rows."""
    model = load_base(base.folder, TrainingMode.LORA).float()
    layer = int(name.partition(".layers.")[2].partition(".")[0])
    seen: list[torch.Tensor] = []
    model.model.layers[layer].mlp.up_proj.register_forward_hook(lambda _m, args, _out: seen.append(args[0]))
    for example in compile_examples(rows(40), PromptRenderer.load(base), 512):
        model(input_ids=torch.tensor([example.input_ids]))
    inputs = torch.cat([part[0] for part in seen])
    inputs = inputs - inputs.mean(0)
    span, _ = torch.linalg.qr(matrix.float().T)
    return float((inputs @ span).square().sum() / inputs.square().sum())


class TestScaling:
    """What the adapter's product is multiplied with."""

    def test_rslora_divides_by_the_root_of_the_rank(self, base: BaseModel) -> None:
        """As the manifest's reader and vLLM compute it."""
        for rank in (4, 16):
            plain, stabilised = (_model(base, _plan(rank=rank, use_rslora=use)) for use in (False, True))

            assert _scaling(plain) == 8 / rank
            assert _scaling(stabilised) == 8 / math.sqrt(rank)


def _scaling(model: torch.nn.Module) -> float:
    return model.get_base_model().model.layers[0].mlp.up_proj.scaling["default"]


class TestLoraPlus:
    """Learning rates of the two matrices."""

    @pytest.mark.parametrize("ratio", [1.0, 16.0])
    def test_the_second_matrix_learns_faster(self, base: BaseModel, tmp_path: Path, ratio: float) -> None:
        """By the ratio of the plan; without one both learn alike."""
        plan = _plan(loraplus_ratio=ratio)
        model = _model(base, plan)
        trainer = AdapterTrainer(
            model=model, args=training_arguments(plan, 0, tmp_path), train_dataset=[], loraplus_ratio=ratio
        )

        groups = trainer.create_optimizer().param_groups

        rates = {id(weight): group["lr"] for group in groups for weight in group["params"]}
        named = {name: rates[id(weight)] for name, weight in model.named_parameters() if weight.requires_grad}
        assert {rate for name, rate in named.items() if "lora_A" in name} == {1e-3}
        assert {rate for name, rate in named.items() if "lora_B" in name} == {ratio * 1e-3}
