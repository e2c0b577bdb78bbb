"""QLoRA with an evaluation at every checkpoint, and the merged export, on the shipped base model."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from shared.adapter.manifest import AdapterManifest
from shared.adapter.package import CONFIG_NAME, WEIGHTS_NAME, write_package
from shared.adapter.validate import TARGET_MODULES
from shared.base_model import BaseModel
from shared.contracts.spec import ContractKind, ContractSpec
from tests.bench.result import Figures
from tests.bench.train_material import BASE, Material
from tests.quantized_base import changed_share, cosine, gradient, stored_weights
from trainer_svc.domain.run import TrainingMode
from trainer_svc.engine.adapter import new_adapter
from trainer_svc.engine.base import compute_dtype, load_base
from trainer_svc.engine.batching import collate
from trainer_svc.engine.export import load_served, save_adapter
from trainer_svc.engine.merge import merge_adapter

_CHECKPOINTS, _STEPS_BETWEEN = 4, 8
_EVALUATED = 16


def measure() -> Figures:
    """The worst cosine of gradients before and after an evaluation, whether the base kept its bytes, and the merge."""
    material = Material.generate(train_count=_CHECKPOINTS * _STEPS_BETWEEN * 8, holdout_count=_EVALUATED, epoch_count=1)
    torch.manual_seed(0)
    model = new_adapter(load_base(material.base, TrainingMode.QLORA), material.train, material.plan)
    with tempfile.TemporaryDirectory() as name:
        worst, changed = _train(model, material, Path(name))
        error = _merge_error(model, material, Path(name))
    return {"qlora_gradient_cosine": worst, "qlora_base_identical": int(changed == 0), "merge_logit_error": error}


def _train(model: Any, material: Material, folder: Path) -> tuple[float, float]:  # a PEFT model
    """Trains with an evaluation and a save at each checkpoint; the worst cosine, and the base's changed bytes."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=material.plan.learning_rate)
    stored, worst = stored_weights(model), 1.0
    rows = iter(material.train)
    for checkpoint in range(_CHECKPOINTS):
        for _ in range(_STEPS_BETWEEN):
            batch = collate([next(rows) for _ in range(material.plan.batch_size)])
            gradient(model, batch["input_ids"], batch["labels"], weights)
            optimizer.step()
        probe = collate(material.holdout[:4])
        before = gradient(model, probe["input_ids"], probe["labels"], weights)
        model.eval()
        with torch.inference_mode():
            model.generate(input_ids=probe["input_ids"][:, :20], max_new_tokens=8, do_sample=False)
        after = gradient(model, probe["input_ids"], probe["labels"], weights)
        model.eval()
        model.save_pretrained(folder / f"checkpoint-{checkpoint}")
        worst = min(worst, cosine(before, after))
    return worst, changed_share(stored, stored_weights(model))


def _merge_error(model: Any, material: Material, folder: Path) -> float:  # as above
    """Norm of the difference over the norm of the logits: the merged model against the adapter as it is served."""
    base = BaseModel.load(BASE)
    save_adapter(model, material.plan, base, folder / "adapter")
    sources = {name: folder / "adapter" / name for name in (WEIGHTS_NAME, CONFIG_NAME)}
    manifest = AdapterManifest(
        base_model_id=base.model_id, base_model_digest=base.digest, prompt_digest="", contract_name="",
        contract=ContractSpec(ContractKind.TEXT), rank=material.plan.rank, alpha=material.plan.alpha,
        target_modules=TARGET_MODULES, dataset_digest="", canaries=(),
    )  # fmt: skip
    write_package(folder / "package", manifest, sources)
    merge_adapter(folder / "package", base, folder / "merged")
    served = load_served(load_base(BASE, TrainingMode.LORA), folder / "adapter")
    merged = AutoModelForCausalLM.from_pretrained(folder / "merged", dtype=compute_dtype()).eval()
    difference = size = 0.0
    with torch.inference_mode():
        for example in material.holdout:
            ids = torch.tensor([example.input_ids])
            expected, found = served(input_ids=ids).logits.float(), merged(input_ids=ids).logits.float()
            difference += float((found - expected).square().sum())
            size += float(expected.square().sum())
    return (difference / size) ** 0.5
