"""`python -m tests.bench.train_system SYSTEM FOLDER SEED`: one training by one system, in a process of its own.

Prints one JSON object: seconds in the training loop, the process's peak memory, the loss on the holdout, which the
same code computes for all, and the type that it computed in. On a CPU without bfloat16 of its own that is float32 for
us, as the product chooses; for TRL float32 weights and, by autocast, bfloat16 products, its default everywhere; and for
the plain loop what `from_pretrained` gives: the type of the base model's files, which is bfloat16.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch.nn.modules.module import register_module_forward_hook
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM, get_linear_schedule_with_warmup

from shared.architecture import architecture_of
from tests.bench.train_material import Material
from trainer_svc.curation.compiled_example import IGNORED, Example
from trainer_svc.domain.run import TrainingMode
from trainer_svc.engine.base import load_base
from trainer_svc.engine.journal import Journal
from trainer_svc.engine.loss import completion_loss
from trainer_svc.engine.training import train_adapter

THREADS = 2
Train = Callable[[], Any]
"""Trains; the model that it returns is one of PEFT."""


def ours(material: Material, seed: int, folder: Path) -> Train:
    """Goldsmith's training loop with its journal and its checkpoints, as a job that sets nothing."""
    base = load_base(material.base, TrainingMode.LORA)

    def train() -> Any:
        with closing(Journal(folder / "events.jsonl")) as journal:
            return train_adapter(
                base,
                material.train,
                material.plan,
                seed=seed,
                checkpoints=folder / "checkpoints",
                journal=journal,
                is_cancelled=lambda: False,
            )

    return train


def trl(material: Material, seed: int, folder: Path) -> Train:
    """TRL's SFTTrainer: what the plan says, everything else its defaults."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    plan = material.plan
    trainer = SFTTrainer(
        model=str(material.base),
        args=SFTConfig(
            output_dir=str(folder),
            learning_rate=plan.learning_rate,
            num_train_epochs=plan.epoch_count,
            per_device_train_batch_size=plan.batch_size,
            warmup_steps=plan.warmup_step_count,
            seed=seed,
            max_length=None,
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(
            [{"input_ids": list(row.input_ids), "labels": list(row.labels)} for row in material.train]
        ),
        peft_config=_lora(material),
    )

    def train() -> Any:
        trainer.train()
        return trainer.model

    return train


def plain(material: Material, seed: int, _folder: Path) -> Train:
    """The loop of PEFT's own examples: shuffled batches, padded to the longest, the model's own loss."""
    plan = material.plan
    torch.manual_seed(seed)
    model: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(material.base), _lora(material))
    loader = DataLoader(material.train, batch_size=plan.batch_size, shuffle=True, collate_fn=_padded)  # type: ignore[arg-type,var-annotated]  # a list will do
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate)
    schedule = get_linear_schedule_with_warmup(optimizer, plan.warmup_step_count, plan.step_count)

    def train() -> Any:
        model.train()
        for _ in range(plan.epoch_count):
            for batch in loader:
                model(**batch).loss.backward()
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
        return model

    return train


SYSTEMS: dict[str, Callable[[Material, int, Path], Train]] = {"ours": ours, "trl": trl, "plain": plain}


def _padded(rows: Sequence[Example]) -> dict[str, torch.Tensor]:
    """To the longest, as the library's collators do."""
    ids, labels = ([torch.tensor(getattr(row, name)) for row in rows] for name in ("input_ids", "labels"))
    return {
        "input_ids": pad_sequence(ids, batch_first=True),
        "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED),
        "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
    }


def _lora(material: Material) -> LoraConfig:
    alpha: Any = material.plan.alpha
    targets = list(architecture_of("llama").target_modules)
    return LoraConfig(r=material.plan.rank, lora_alpha=alpha, target_modules=targets, task_type="CAUSAL_LM")


@torch.inference_mode()
def _holdout_loss(model: Any, material: Material) -> float:
    """Mean loss per learned token, in float32."""
    model, total, count = model.float().eval(), 0.0, 0
    for example in material.holdout:
        ids, labels = torch.tensor([example.input_ids, example.labels])[:, None]
        total += float(completion_loss(model, ids, labels))
        count += len(example.input_ids) - example.prompt_length
    return total / count


class _Type:
    """Of the weights of the first linear layer that computes, and of what it gives, which autocast may change."""

    def __init__(self) -> None:
        self.found = ""
        self._hook = register_module_forward_hook(self._look)

    def _look(self, module: torch.nn.Module, _: Any, output: Any) -> None:
        if isinstance(module, torch.nn.Linear):
            self._hook.remove()
            types = (str(tensor.dtype).removeprefix("torch.") for tensor in (module.weight, output))
            self.found = "{} weights, {} products".format(*types)


def main(system: str, folder: str, seed: str) -> None:
    """Trains and prints what it took."""
    torch.set_num_threads(THREADS)
    material = Material.load(Path(folder))
    with tempfile.TemporaryDirectory() as scratch:
        train, computed = SYSTEMS[system](material, int(seed), Path(scratch)), _Type()
        begin = time.perf_counter()
        model = train()
        seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    found = {"seconds": seconds, "peak_bytes": peak, "holdout_loss": _holdout_loss(model, material)}
    print(json.dumps(found | {"dtype": computed.found}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
