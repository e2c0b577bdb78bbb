"""One architecture, end to end: trained by our engine, packed, and served by vLLM as transformers and PEFT compute it.

Served and compared in float32, so that a difference is one of the models and not of rounding.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from shared.adapter.manifest import AdapterManifest
from shared.adapter.package import CONFIG_NAME, WEIGHTS_NAME, read_package, write_package
from shared.adapter.validate import validate_adapter
from shared.base_model import BaseModel
from shared.contracts.spec import ContractKind, ContractSpec
from shared.prompt import PromptRenderer
from tests.architecture_sample import tiny_base
from tests.e2e.training_sample import rows
from trainer_svc.curation.compiled_example import IGNORED, Example, compile_examples
from trainer_svc.domain.plan import TrainingPlan
from trainer_svc.domain.run import TrainingMode
from trainer_svc.engine.adapter import new_adapter
from trainer_svc.engine.base import attention_implementation, check_projections, load_base
from trainer_svc.engine.batching import collate
from trainer_svc.engine.export import save_adapter
from trainer_svc.engine.journal import Journal
from trainer_svc.engine.loss import completion_loss
from trainer_svc.engine.training import train_adapter
from trainer_svc.engine.vllm_process import vllm_environment

_PLAN = TrainingPlan(rank=8, alpha=16.0, learning_rate=2e-2, epoch_count=5, batch_size=8, step_count=20)
_ROWS = 32
_PROMPTS = 6
_ANSWER_TOKENS = 16
_VLLM_SECONDS = 300


@dataclass(frozen=True)
class Found:
    """How an architecture did. Ratios are 0..1."""

    model_type: str
    loss_error: float
    """Of our loss on the first batch, relative to transformers' own."""
    token_count: int
    equal_ratio: float
    """Share of positions where vLLM, given what PEFT answered so far, chooses the token that PEFT chose."""
    base_ratio: float
    """The same without the adapter: what it changes is missing."""
    log_probability_error: float
    """Largest difference of a chosen token's log probability where both chose the same, in nats."""
    is_by_transformers: bool
    """Whether vLLM runs the model's code from transformers, for want of its own."""


def check_architecture(model_type: str, folder: Path, tokenizer_of: BaseModel) -> Found:
    """Trains, packs, validates and serves an adapter of a tiny base."""
    base = tiny_base(model_type, folder / "base", tokenizer_of)
    renderer = PromptRenderer.load(base)
    golden = rows(_ROWS)
    examples = compile_examples(golden, renderer, base.max_positions)
    package = _trained(base, examples, folder, renderer)
    prompts = [renderer.prompt_ids(row.input) for row in golden[:_PROMPTS]]
    reference = in_float32(base, attention="eager")
    loss_error = _loss_error(base, reference, examples[: _PLAN.batch_size])
    model = PeftModel.from_pretrained(reference, package).eval()
    expected = [_greedy(model, prompt) for prompt in prompts]
    places = [
        (prompt + tokens[:place], tokens[place], log_probabilities[place])
        for prompt, (tokens, log_probabilities) in zip(prompts, expected, strict=True)
        for place in range(len(tokens))
    ]
    served = _ask_vllm(base, package, [ids for ids, _, _ in places], folder)
    with_adapter, without = served["adapter"], served["base"]
    equal = [answer[0] == token for answer, (_, token, _) in zip(with_adapter, places, strict=True)]
    errors = [
        abs(answer[1] - log_probability)
        for answer, same, (_, _, log_probability) in zip(with_adapter, equal, places, strict=True)
        if same
    ]
    alike = [answer[0] == token for answer, (_, token, _) in zip(without, places, strict=True)]
    count = len(places)
    return Found(
        model_type, loss_error, count, sum(equal) / count, sum(alike) / count, max(errors, default=0.0),
        served["is_by_transformers"],
    )  # fmt: skip


def in_float32(base: BaseModel, attention: str | None = None) -> Any:  # a transformers model
    """The base as training loads it, in a type that rounds little."""
    own = attention or attention_implementation(base.folder)
    return AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32, attn_implementation=own).eval()


def _trained(base: BaseModel, examples: list[Example], folder: Path, renderer: PromptRenderer) -> Path:
    frozen = load_base(base.folder, TrainingMode.LORA)
    check_projections(frozen, base)
    with closing(Journal(folder / "events.jsonl")) as journal:
        model = train_adapter(
            frozen, examples, _PLAN, seed=0, checkpoints=folder / "checkpoints", journal=journal,
            is_cancelled=lambda: False,
        )  # fmt: skip
    save_adapter(model, _PLAN, base, folder / "adapter")
    manifest = AdapterManifest(
        base_model_id=base.model_id,
        base_model_digest=base.digest,
        prompt_digest=renderer.digest,
        contract_name="tenants/bench/contracts/text",
        contract=ContractSpec(ContractKind.TEXT),
        rank=_PLAN.rank,
        alpha=_PLAN.alpha,
        target_modules=base.architecture.target_modules,
        dataset_digest="sha256:" + "0" * 64,
        canaries=(),
    )
    package = folder / "package"
    sources = {name: folder / "adapter" / name for name in (WEIGHTS_NAME, CONFIG_NAME)}
    written = write_package(package, manifest, sources)
    validate_adapter(package, read_package(package, written.digest), base, max_rank=_PLAN.rank)
    return package


def _loss_error(base: BaseModel, reference: Any, examples: list[Example]) -> float:  # a transformers model
    """Of an adapter that changes nothing yet: attention, low-rank update and loss are ours."""
    batch = collate(examples)
    ids, labels = batch["input_ids"], batch["labels"]
    own = new_adapter(in_float32(base), [], _PLAN)
    with torch.inference_mode():
        ours = completion_loss(own, ids, labels) / (labels[:, 1:] != IGNORED).sum()
        theirs = reference(input_ids=ids, attention_mask=batch["attention_mask"], labels=labels).loss
    return float(abs(ours - theirs) / theirs)


@torch.inference_mode()
def _greedy(model: Any, prompt: list[int]) -> tuple[list[int], list[float]]:  # a PEFT model
    """Tokens, and the log probability of each; no cache, so that nothing is kept but what is asked."""
    ids, found = list(prompt), []
    for _ in range(_ANSWER_TOKENS):
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].float()
        token = int(logits.argmax())
        found.append(float(logits.log_softmax(-1)[token]))
        ids.append(token)
    return ids[len(prompt) :], found


def _ask_vllm(base: BaseModel, package: Path, prompts: list[list[int]], folder: Path) -> dict[str, Any]:  # JSON
    """The answer of `tests.architecture_engine`."""
    order, answer = folder / "order.json", folder / "answer.json"
    order.write_text(json.dumps({"base": str(base.folder), "package": str(package), "prompts": prompts}))
    subprocess.run(
        [sys.executable, "-m", "tests.architecture_engine", str(order), str(answer)],
        env=os.environ | vllm_environment(threads=1), check=True, timeout=_VLLM_SECONDS, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    body: dict[str, Any] = json.loads(answer.read_bytes())
    return body
