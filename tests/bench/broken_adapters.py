"""Adapters with the mistakes that teams really make, each made as it happens, and how far each of them comes.

Trained ones are trained by our own engine on the shipped base. What no run of ours would make is put in its place at
the latest point where a faulty part could: the adapter's folder after the training, or the package in the registry.
"""

from __future__ import annotations

import dataclasses
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from shared.adapter.package import CONFIG_NAME, WEIGHTS_NAME
from shared.base_model import BaseModel
from shared.prompt import PromptRenderer
from tests.bench.broken_workshop import Workshop
from tests.promotion_house import Ending, Stage
from trainer_svc.curation import compiled_example
from trainer_svc.curation.compiled_example import IGNORED, Example
from trainer_svc.domain.dataset import CheckedRow
from trainer_svc.domain.plan import TrainingPlan
from trainer_svc.domain.run import RunFolder
from trainer_svc.engine import preparation, training, training_stage

_SHORT = {"epoch_count": 1}
"""Of trainings whose fault does not depend on what is learned."""


@dataclass(frozen=True)
class BrokenAdapter:
    """One kind of fault on one way in."""

    kind: str
    way: str
    stage: Stage
    """Where it must end."""
    reason: str
    """That must be among those it is stopped for."""
    words: str
    """Of what is told."""
    make: Callable[[Workshop], Ending]

    def is_stopped_as_expected(self, ending: Ending) -> bool:
        """At its stage, for its own reason."""
        return ending.stage is self.stage and self.reason in ending.reasons and self.words in ending.told


def _zero(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS_NAME)
    blank = {name: torch.zeros_like(own) if "lora_B" in name else own.clone() for name, own in tensors.items()}
    save_file(blank, folder / WEIGHTS_NAME)


def _run_on(examples: Sequence[Example]) -> list[Example]:
    """Each goes on with the next one where its stop token was, as where rows are packed without any."""
    after = [*examples[1:], *examples[:1]]
    return [
        Example(
            (*one.input_ids[:-1], *other.input_ids[:-1]), (*one.labels[:-1], *other.input_ids[:-1]), one.prompt_length
        )
        for one, other in zip(examples, after, strict=True)
    ]


def _masked(ids: tuple[int, ...], labels: tuple[int, ...], prompt_length: int) -> Example:
    """As where the padding token is the stop token, and padding is not learned."""
    return Example(ids, (*labels[:-1], IGNORED), prompt_length)


@contextmanager
def _dora(base: BaseModel) -> Iterator[None]:
    """Trains with PEFT's DoRA, and saves as PEFT does."""

    def new(model: Any, _examples: object, plan: TrainingPlan, _is_cancelled: object = None) -> Any:  # as `new_adapter`
        config = LoraConfig(
            r=plan.rank, lora_alpha=int(plan.alpha), target_modules=list(base.architecture.target_modules),
            use_dora=True, task_type="CAUSAL_LM",
        )  # fmt: skip
        found = get_peft_model(model, config, autocast_adapter_dtype=False)
        found.peft_config["default"].base_model_name_or_path = base.model_id  # else its path alone would be refused
        return found

    def save(model: Any, _plan: object, _base: object, folder: Path) -> None:
        model.save_pretrained(folder)

    with patch.object(training, "new_adapter", new), patch.object(training_stage, "save_adapter", save):
        yield


def _dora_in_run(shop: Workshop) -> Ending:
    with _dora(shop.base):
        return shop.house.finish(shop.write("dora", **_SHORT))


def _dora_in_registry(shop: Workshop) -> Ending:
    trained = RunFolder(shop.house.folder / "dora").adapter
    package = shop.repacked("dora", lambda folder: _copy_adapter(trained, folder))
    return shop.house.replicate(package, shop.sound)


def _copy_adapter(adapter: Path, folder: Path) -> None:
    for name in (WEIGHTS_NAME, CONFIG_NAME):
        shutil.copyfile(adapter / name, folder / name)


def _unlike_server(shop: Workshop) -> Ending:
    """A renderer whose batches differ from what the server makes of one input."""
    other = PromptRenderer.load(shop.other_template_base)
    with patch.object(PromptRenderer, "pairs_of_ids", lambda _, pairs: _pairs(other, pairs)):
        return shop.house.finish(shop.write("unlike-server"))


def _pairs(renderer: PromptRenderer, pairs: Sequence[tuple[str, str]]) -> list[tuple[list[int], list[int]]]:
    return [(renderer.prompt_ids(given), renderer.completion_ids(wanted)) for given, wanted in pairs]


def _no_stop_token(shop: Workshop) -> Ending:
    """A renderer that forgets it."""
    with (
        patch.object(PromptRenderer, "completion_ids", lambda self, text: [*self._content_ids(text)]),
        patch.object(PromptRenderer, "pairs_of_ids", _pairs),
    ):
        return shop.house.finish(shop.write("no-stop-token"))


def _no_stop_label(shop: Workshop) -> Ending:
    with patch.object(compiled_example, "Example", _masked):
        return shop.house.finish(shop.write("no-stop-label"))


def _packed(shop: Workshop) -> Ending:
    """Behind the back of every proof of examples."""
    compiled = preparation.compile_examples
    with patch.object(preparation, "compile_examples", lambda *given: _run_on(compiled(*given))):
        return shop.house.finish(shop.write("packed"))


def _by_heart(shop: Workshop) -> Ending:
    sizes = shop.sizes
    rows = shop.train[: sizes.by_heart_count]
    return shop.house.finish(shop.write("by-heart", rows, epoch_count=sizes.by_heart_epochs, learning_rate=5e-3))


def _shuffled(shop: Workshop) -> Ending:
    return shop.house.finish(shop.write("shuffled", shuffled(shop.train, shop.sizes.seed)))


def _all_shuffled(shop: Workshop) -> Ending:
    rows, count = shuffled([*shop.train, *shop.holdout], shop.sizes.seed), len(shop.train)
    return shop.house.finish(shop.write("all-shuffled", rows[:count], holdout=rows[count:]))


def shuffled(rows: Sequence[CheckedRow], seed: int) -> list[CheckedRow]:
    """Outputs dealt out anew among the rows."""
    outputs = [row.output for row in rows]
    random.Random(seed).shuffle(outputs)
    return [dataclasses.replace(row, output=output) for row, output in zip(rows, outputs, strict=True)]


TRAINED, REGISTERED, SHOWN = "adapter of a run", "package in the registry", "package shown to vLLM"
CASES = (
    BrokenAdapter(
        "zero delta", TRAINED, Stage.JOB, "ADAPTER_REJECTED", "every delta is zero",
        lambda shop: shop.house.finish(shop.in_run("zero", shop.sound.adapter, _zero)),
    ),
    BrokenAdapter(
        "zero delta", REGISTERED, Stage.REPLICA, "ADAPTER_REJECTED", "every delta is zero",
        lambda shop: shop.house.replicate(shop.repacked("zero", _zero), shop.sound),
    ),
    BrokenAdapter(
        "wrong template", "examples", Stage.JOB, "FIELD_INVALID", "tokens that the server makes", _unlike_server
    ),
    BrokenAdapter(
        "wrong template", REGISTERED, Stage.REPLICA, "BASE_MODEL_MISMATCH", "trained with prompt template",
        lambda shop: shop.house.replicate(shop.other_template.package, shop.sound),
    ),
    BrokenAdapter(
        "wrong base", TRAINED, Stage.POLICY, "NO_BETTER_THAN_BARE_BASE", "",
        lambda shop: shop.house.finish(shop.in_run("base", shop.other_base.adapter)),
    ),
    BrokenAdapter(
        "wrong base", REGISTERED, Stage.REPLICA, "BASE_MODEL_MISMATCH", "was trained on",
        lambda shop: shop.house.replicate(shop.other_base.package, shop.sound),
    ),
    BrokenAdapter("DoRA", TRAINED, Stage.JOB, "ADAPTER_REJECTED", "use_dora must not be set", _dora_in_run),
    BrokenAdapter("DoRA", REGISTERED, Stage.REPLICA, "ADAPTER_REJECTED", "use_dora must not be set", _dora_in_registry),
    BrokenAdapter("without EOS", "examples", Stage.JOB, "FIELD_INVALID", "does not end with", _no_stop_token),
    BrokenAdapter("without EOS", "labels", Stage.JOB, "FIELD_INVALID", "other tokens than those of", _no_stop_label),
    BrokenAdapter("without EOS", TRAINED, Stage.POLICY, "ENDLESS_ANSWERS", "", _packed),
    BrokenAdapter("20 rows by heart", TRAINED, Stage.POLICY, "MEMORISED", "", _by_heart),
    BrokenAdapter("shuffled labels", "train split", Stage.POLICY, "NO_BETTER_THAN_CHANCE", "", _shuffled),
    BrokenAdapter("shuffled labels", "whole upload", Stage.POLICY, "NO_BETTER_THAN_CHANCE", "", _all_shuffled),
)  # fmt: skip
"""Without those that need a vLLM engine."""
SHOWN_TO_VLLM = (
    BrokenAdapter(
        "zero delta", SHOWN, Stage.PROOF, "ADAPTER_REJECTED", "canary replay",
        lambda shop: shop.shown_to_vllm("zero-shown", shop.repacked("zero-shown", _zero)),
    ),
    BrokenAdapter(
        "wrong base", SHOWN, Stage.PROOF, "ADAPTER_REJECTED", "canary replay",
        lambda shop: shop.shown_to_vllm("base-shown", shop.other_base.package),
    ),
)  # fmt: skip
