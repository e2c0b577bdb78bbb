"""One run from rows to package: prepare, train, evaluate, publish. Each step is skipped when its result is on disk."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from shared.adapter.manifest import AdapterManifest, Canary
from shared.adapter.package import CONFIG_NAME, WEIGHTS_NAME, read_package, write_package
from shared.adapter.validate import TARGET_MODULES, validate_adapter
from shared.base_model import BaseModel
from shared.contracts.compiled import CompiledContract
from shared.files import publish_folder, write_atomic
from shared.prompt import PromptRenderer
from trainer_svc.curation.compiled_example import Example
from trainer_svc.domain.dataset import CheckedRow
from trainer_svc.domain.plan import RANKS, TrainingPlan, settings
from trainer_svc.domain.run import (
    Cancelled,
    Evaluation,
    Initialization,
    Phase,
    RunFolder,
    RunResult,
    RunSpec,
    TrainingMode,
)
from trainer_svc.engine.base import best_device, compute_dtype, load_base
from trainer_svc.engine.canary import pick_canaries
from trainer_svc.engine.export import load_served, save_adapter
from trainer_svc.engine.generation import generate
from trainer_svc.engine.holdout import holdout_loss
from trainer_svc.engine.journal import Journal
from trainer_svc.engine.preparation import prepare
from trainer_svc.engine.recipe import keep_to_recipe
from trainer_svc.engine.training import train_adapter
from trainer_svc.engine.usage import Stopwatch
from trainer_svc.evaluation.score import score_outputs

_LIBRARIES = ("goldsmith", "torch", "transformers", "peft", "bitsandbytes", "accelerate", "tokenizers")


@dataclass(frozen=True)
class _Ground:
    """What all steps of a run stand on."""

    spec: RunSpec
    folder: RunFolder
    base: BaseModel
    renderer: PromptRenderer
    contract: CompiledContract
    plan: TrainingPlan
    journal: Journal
    is_cancelled: Callable[[], bool]
    stopwatch: Stopwatch

    def stop_if_cancelled(self) -> None:
        """Raises Cancelled once the run was asked to stop."""
        if self.is_cancelled():
            raise Cancelled


def run(spec: RunSpec, folder: RunFolder, journal: Journal, is_cancelled: Callable[[], bool]) -> RunResult:
    """Runs to the end, or from where an earlier attempt was killed.

    Raises:
        DomainError: the dataset or the settings do not allow it.
        Cancelled: asked to stop.
    """
    torch.set_num_threads(spec.threads)
    stopwatch = Stopwatch()
    journal.phase(Phase.PREPARING)
    ready = prepare(spec, folder, journal)
    keep_to_recipe(folder, ready.base, ready.renderer)
    if folder.result.is_file():
        return RunResult.from_json(folder.result.read_bytes())
    ground = _Ground(
        ready.spec, folder, ready.base, ready.renderer, ready.contract, ready.plan, journal, is_cancelled, stopwatch
    )
    ground.stop_if_cancelled()
    if not folder.adapter.is_dir():
        _train(ground, ready.examples)
    result = _publish(ground, ready.holdout)
    # How long EVA looks at the rows says nothing of other runs.
    if stopwatch.gauge.has_measured and ready.plan.initialization is not Initialization.EVA:
        trained = sum(len(example.input_ids) for example in ready.examples) * ready.plan.epoch_count
        journal.usage(stopwatch.usage(ready, trained_tokens=trained, holdout_count=len(ready.holdout)))
    return result


def _train(ground: _Ground, examples: Sequence[Example]) -> None:
    ground.journal.phase(Phase.TRAINING)
    base = load_base(ground.base.folder, ground.spec.mode)
    model = train_adapter(
        base,
        examples,
        ground.plan,
        seed=ground.spec.seed,
        checkpoints=ground.folder.checkpoints,
        journal=ground.journal,
        is_cancelled=ground.is_cancelled,
        start=ground.folder.start if ground.spec.start_digest else None,
        callbacks=[ground.stopwatch.gauge],
    )
    save_adapter(model, ground.plan, ground.base, ground.folder.adapter)


def _publish(ground: _Ground, holdout: list[CheckedRow]) -> RunResult:
    ground.journal.phase(Phase.EVALUATING)
    # A fresh base, never the one that was trained on: that one may be quantised.
    base = load_base(ground.base.folder, TrainingMode.LORA).to(best_device())
    served = load_served(base, ground.folder.adapter)
    prompts = [ground.renderer.prompt_ids(row.input) for row in holdout]
    with ground.stopwatch.answering():
        answers = generate(served, ground.contract, prompts, ground.base.max_positions, ground.stop_if_cancelled)
    ground.stopwatch.answer_tokens = sum(map(len, answers))
    evaluation = _evaluate(ground, served, holdout, answers)
    ground.journal.phase(Phase.PUBLISHING)
    manifest = _manifest(ground, evaluation, pick_canaries(served, ground.contract, prompts, answers))
    temporary = ground.folder.path / "package.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    sources = {name: ground.folder.adapter / name for name in (WEIGHTS_NAME, CONFIG_NAME)}
    manifest = write_package(temporary, manifest, sources)
    validate_adapter(temporary, manifest, ground.base, max_rank=max(RANKS))
    shutil.rmtree(ground.folder.package, ignore_errors=True)
    publish_folder(temporary, ground.folder.package)
    read_package(ground.folder.package, manifest.digest)
    result = RunResult(manifest.digest, evaluation)
    write_atomic(ground.folder.result, result.to_json())
    return result


def _evaluate(
    ground: _Ground, model: Any, holdout: list[CheckedRow], answers: list[list[int]]
) -> Evaluation:  # a PEFT model
    texts = [ground.renderer.decode(answer) for answer in answers]
    score = score_outputs(ground.contract.spec, [row.output for row in holdout], texts, ground.spec.database_sql)
    plain = [len(ground.renderer.prompt_ids(row.input)) for row in holdout]
    instructed = [len(ground.renderer.prompt_ids(row.input, ground.spec.instruction_prompt)) for row in holdout]
    with ground.stopwatch.scoring():
        loss = holdout_loss(model, ground.renderer, ground.base.max_positions, holdout)
    return Evaluation(
        holdout_count=len(holdout),
        exact_match=score.exact_match,
        field_f1=score.field_f1,
        execution_match=score.execution_match,
        instruction_prompt_tokens=sum(instructed) / len(instructed),
        adapter_prompt_tokens=sum(plain) / len(plain),
        holdout_loss=loss,
    )


def _manifest(ground: _Ground, evaluation: Evaluation, canaries: tuple[Canary, ...]) -> AdapterManifest:
    spec, plan = ground.spec, ground.plan
    saved = evaluation.instruction_prompt_tokens - evaluation.adapter_prompt_tokens if spec.instruction_prompt else 0.0
    metrics = {"exact_match": evaluation.exact_match, "field_f1": evaluation.field_f1}
    if evaluation.execution_match is not None:
        metrics["execution_match"] = evaluation.execution_match
    versions = {f"{name}_version": importlib.metadata.version(name) for name in _LIBRARIES}
    return AdapterManifest(
        base_model_id=ground.base.model_id,
        base_model_digest=ground.base.digest,
        prompt_digest=ground.renderer.digest,
        contract_name=spec.contract_name,
        contract=ground.contract.spec,
        rank=plan.rank,
        alpha=plan.alpha,
        use_rslora=plan.use_rslora,
        target_modules=TARGET_MODULES,
        dataset_digest=spec.dataset_digest,
        canaries=canaries,
        instruction_prompt_tokens=round(saved),
        training={**settings(plan, spec), **versions, **_machine()},
        metrics=metrics,
    )


def _machine() -> dict[str, str]:
    """What the same inputs give the same bytes on: with other instructions sums are added up in another order."""
    device = best_device()
    chip = torch.cuda.get_device_name() if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    return {"machine": platform.machine(), "device": device.type, "chip": chip, "dtype": str(compute_dtype())}
