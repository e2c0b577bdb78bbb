"""The trained adapter as files that vLLM serves and that say nothing about this machine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from shared.adapter.package import CONFIG_NAME, WEIGHTS_NAME
from shared.base_model import BaseModel
from shared.files import publish_folder
from trainer_svc.domain.plan import TrainingPlan


def save_adapter(model: Any, plan: TrainingPlan, base: BaseModel, folder: Path) -> None:  # a PEFT model
    """Writes weights and config into `folder`, which is whole once it exists.

    Weights are bf16: vLLM casts adapters to the base model's dtype at load, so evaluation on these files measures what
    is served, and the file is half as large.
    """
    temporary = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    state = get_peft_model_state_dict(model)
    tensors = {name: tensor.detach().to("cpu", torch.bfloat16).contiguous() for name, tensor in state.items()}
    save_file(tensors, temporary / WEIGHTS_NAME)
    config = {
        "base_model_name_or_path": base.model_id,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": plan.alpha,
        "lora_dropout": 0.0,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": plan.rank,
        "target_modules": sorted(base.architecture.target_modules),
        "task_type": "CAUSAL_LM",
        "use_dora": False,
        "use_rslora": plan.use_rslora,
    }
    (temporary / CONFIG_NAME).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    publish_folder(temporary, folder)


def load_weights(model: Any, folder: Path) -> None:  # a PEFT model
    """Puts a saved adapter's weights into a model of the same shape, in the model's own type."""
    outcome = set_peft_model_state_dict(model, load_file(folder / WEIGHTS_NAME))
    unexpected: list[str] = outcome.unexpected_keys  # type: ignore[attr-defined]  # torch's tuple of keys
    assert not unexpected, unexpected


def load_served(base: Any, folder: Path) -> Any:  # transformers and PEFT models
    """The base with the adapter's files applied in the base's own type: the combination that is served."""
    return PeftModel.from_pretrained(base, folder, autocast_adapter_dtype=False, local_files_only=True).eval()


@contextmanager
def serving(model: Any, folder: Path, name: str) -> Iterator[None]:  # a PEFT model of `load_served`
    """Within, the model answers with another adapter's files; the base is loaded once for all of them."""
    own = model.active_adapter
    model.load_adapter(folder, name, autocast_adapter_dtype=False, local_files_only=True)
    model.set_adapter(name)
    try:
        yield
    finally:
        model.set_adapter(own)
        model.delete_adapter(name)
