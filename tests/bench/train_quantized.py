"""QLoRA with an evaluation at every checkpoint, and the merged export, on the shipped base model.

`qlora_cpu_repacks` says what the cosine proves: only where it is 1 (AVX512-BF16) does bitsandbytes repack 4-bit weights
in an evaluation, and only there would a base that is not kept from it lose its gradient. Weights of the base and of the
merged model are bfloat16. `merge_logit_error` computes with both in float32, so that it tells what merging lost; in
bfloat16, as many engines compute, they differ by `merge_logit_error_bfloat16`, most of which is `bfloat16_logit_error`:
what that arithmetic alone makes of the adapter's logits, without any merge.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from bitsandbytes.functional import has_avx512bf16
from transformers import AutoModelForCausalLM

from shared.adapter.manifest import AdapterManifest
from shared.adapter.package import CONFIG_NAME, WEIGHTS_NAME, write_package
from shared.base_model import BaseModel
from shared.contracts.spec import ContractKind, ContractSpec
from tests.bench.result import Figures
from tests.bench.train_material import BASE, Material
from tests.quantized_base import changed_names, cosine, gradient, state_of
from trainer_svc.domain.run import TrainingMode
from trainer_svc.engine.adapter import new_adapter
from trainer_svc.engine.base import load_base
from trainer_svc.engine.batching import collate
from trainer_svc.engine.export import load_served, save_adapter
from trainer_svc.engine.merge import merge_adapter

_CHECKPOINTS, _STEPS_BETWEEN = 4, 8
_EVALUATED = 16
_DTYPES = (torch.bfloat16, torch.float32)


def measure() -> Figures:
    """The worst cosine of gradients before and after an evaluation, whether the base kept its bytes, and the merge."""
    material = Material.generate(train_count=_CHECKPOINTS * _STEPS_BETWEEN * 8, holdout_count=_EVALUATED, epoch_count=1)
    torch.manual_seed(0)
    model = new_adapter(load_base(material.base, TrainingMode.QLORA), material.train, material.plan)
    with tempfile.TemporaryDirectory() as name:
        worst, changed = _train(model, material, Path(name))
        errors = _merge_errors(model, material, Path(name))
    return {
        "qlora_gradient_cosine": worst,
        "qlora_base_identical": int(not changed),
        "qlora_cpu_repacks": int(has_avx512bf16()),
        **errors,
    }


def _train(model: Any, material: Material, folder: Path) -> tuple[float, list[str]]:  # a PEFT model
    """Trains with an evaluation and a save at each checkpoint; the worst cosine, and what of the base changed."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=material.plan.learning_rate)
    state, worst = state_of(model), 1.0
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
    return worst, changed_names(state, state_of(model))


def _merge_errors(model: Any, material: Material, folder: Path) -> Figures:  # as above
    """The merged model against the adapter as it is served, and what bfloat16 alone makes of the adapter's logits."""
    base = BaseModel.load(BASE)
    save_adapter(model, material.plan, base, folder / "adapter")
    sources = {name: folder / "adapter" / name for name in (WEIGHTS_NAME, CONFIG_NAME)}
    manifest = AdapterManifest(
        base_model_id=base.model_id, base_model_digest=base.digest, prompt_digest="", contract_name="",
        contract=ContractSpec(ContractKind.TEXT), rank=material.plan.rank, alpha=material.plan.alpha,
        target_modules=base.architecture.target_modules, dataset_digest="", canaries=(),
    )  # fmt: skip
    write_package(folder / "package", manifest, sources)
    merge_adapter(folder / "package", base, folder / "merged")
    served = {dtype: load_served(_load(BASE, dtype), folder / "adapter") for dtype in _DTYPES}
    merged = {dtype: _load(folder / "merged", dtype) for dtype in _DTYPES}
    return {
        "merge_logit_error": _logit_error(served[torch.float32], merged[torch.float32], material),
        "merge_logit_error_bfloat16": _logit_error(served[torch.bfloat16], merged[torch.bfloat16], material),
        "bfloat16_logit_error": _logit_error(served[torch.float32], served[torch.bfloat16], material),
    }


def _load(folder: Path, dtype: torch.dtype) -> Any:  # as above
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True).eval()


@torch.inference_mode()
def _logit_error(expected: Any, found: Any, material: Material) -> float:  # as above
    """Norm of the difference over the norm of the expected logits."""
    difference = size = 0.0
    for example in material.holdout:
        ids = torch.tensor([example.input_ids])
        ours, theirs = expected(input_ids=ids).logits.float(), found(input_ids=ids).logits.float()
        difference += float((theirs - ours).square().sum())
        size += float(ours.square().sum())
    return (difference / size) ** 0.5
