"""One run from rows to package: prepare, train, evaluate, publish. Each step is skipped when its result is on disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from shared.adapter.manifest import AdapterManifest, Canary
from shared.adapter.package import CONFIG_NAME, WEIGHTS_NAME, read_package, write_package
from shared.adapter.validate import validate_adapter
from shared.base_model import BaseModel
from shared.contracts.compiled import CompiledContract
from shared.files import publish_folder, write_atomic
from shared.prompt import PromptRenderer
from trainer_svc.domain.dataset import CheckedRow
from trainer_svc.domain.plan import TrainingPlan, settings
from trainer_svc.domain.run import (
    Cancelled,
    Evaluation,
    Initialization,
    Phase,
    RunFolder,
    RunResult,
    RunSpec,
)
from trainer_svc.engine.canary import pick_canaries
from trainer_svc.engine.holdout import holdout_loss
from trainer_svc.engine.journal import Journal
from trainer_svc.engine.preparation import Prepared, prepare
from trainer_svc.engine.provenance import provenance
from trainer_svc.engine.recipe import keep_to_recipe
from trainer_svc.engine.servability import prove_servable
from trainer_svc.engine.served import Server
from trainer_svc.engine.training_stage import train
from trainer_svc.engine.usage import Stopwatch
from trainer_svc.engine.validation import record_of
from trainer_svc.evaluation.score import score_outputs


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
    provenance: Mapping[str, str | int]

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
    keep_to_recipe(folder, ready.base, ready.renderer, spec.processes)
    if folder.result.is_file():
        return RunResult.from_json(folder.result.read_bytes())
    made_of = provenance(ready)  # now: an update may replace sources while this run, which has read them, trains
    ground = _Ground(
        ready.spec, folder, ready.base, ready.renderer, ready.contract, ready.plan, journal, is_cancelled, stopwatch,
        made_of,
    )  # fmt: skip
    ground.stop_if_cancelled()
    if not folder.adapter.is_dir():
        journal.phase(Phase.TRAINING)
        train(ready, folder, journal, is_cancelled, stopwatch)
    result = _publish(ground, ready.holdout)
    # How long EVA looks at the rows says nothing of other runs, nor do several processes of one.
    is_typical = ready.plan.initialization is not Initialization.EVA and spec.processes == 1
    if stopwatch.gauge.has_measured and is_typical:
        journal.usage(
            stopwatch.usage(ready, trained_tokens=_trained_tokens(ready, stopwatch), holdout_count=len(ready.holdout))
        )
    return result


def _trained_tokens(ready: Prepared, stopwatch: Stopwatch) -> int:
    """Of the steps that were taken, which early stopping may have ended."""
    tokens = sum(len(example.input_ids) for example in ready.examples) * ready.plan.epoch_count
    return tokens * len(stopwatch.gauge.steps) // ready.plan.step_count


def _publish(ground: _Ground, holdout: list[CheckedRow]) -> RunResult:
    ground.journal.phase(Phase.EVALUATING)
    server = Server(ground.base, ground.contract, ground.stop_if_cancelled)
    served = server.load(ground.folder.adapter)
    prompts = [ground.renderer.prompt_ids(row.input) for row in holdout]
    answers = ground.stopwatch.answered(lambda: server.answer(served, prompts))
    evaluation = _evaluate(ground, served, holdout, answers)
    ground.journal.phase(Phase.PUBLISHING)
    manifest = _manifest(ground, evaluation, pick_canaries(served, ground.contract, prompts, answers))
    temporary = ground.folder.path / "package.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    sources = {name: ground.folder.adapter / name for name in (WEIGHTS_NAME, CONFIG_NAME)}
    manifest = write_package(temporary, manifest, sources)
    validate_adapter(temporary, manifest, ground.base, max_rank=ground.spec.max_lora_rank)
    served = None  # vLLM, which comes next, needs its memory
    with ground.stopwatch.proving():
        prove_servable(temporary, ground.spec, ground.folder, ground.stop_if_cancelled)
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
    return AdapterManifest(
        base_model_id=ground.base.model_id,
        base_model_digest=ground.base.digest,
        prompt_digest=ground.renderer.digest,
        contract_name=spec.contract_name,
        contract=ground.contract.spec,
        rank=plan.rank,
        alpha=plan.alpha,
        use_rslora=plan.use_rslora,
        target_modules=ground.base.architecture.target_modules,
        dataset_digest=spec.dataset_digest,
        canaries=canaries,
        instruction_prompt_tokens=round(saved),
        training={**settings(plan, spec), **record_of(ground.folder.adapter), **ground.provenance},
        metrics=metrics,
    )
