"""The adapter's package: its files, and the manifest that says what they are and what they were measured to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from shared.adapter.manifest import AdapterManifest, Canary
from shared.adapter.package import CONFIG_NAME, WEIGHTS_NAME, read_package, write_package
from shared.adapter.validate import validate_adapter
from shared.files import publish_folder
from trainer_svc.domain.evaluation import AdapterEvaluation
from trainer_svc.domain.plan import settings
from trainer_svc.domain.run import Evaluation, RunFolder
from trainer_svc.engine.preparation import Prepared
from trainer_svc.engine.validation import record_of


def pack(
    ready: Prepared, folder: RunFolder, evaluation: AdapterEvaluation, summary: Evaluation,
    canaries: tuple[Canary, ...], made_of: Mapping[str, str | int], *, prove: Callable[[Path], object],
) -> AdapterManifest:  # fmt: skip
    """Writes the package of the folder's adapter and proves that it can be served; `prove` goes beyond our own rules.

    Raises:
        StateConflict: ADAPTER_REJECTED, it cannot.
    """
    temporary = folder.path / "package.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    sources = {name: folder.adapter / name for name in (WEIGHTS_NAME, CONFIG_NAME)}
    wanted = _manifest(ready, folder, evaluation, summary, canaries, made_of)
    manifest = write_package(temporary, wanted, sources)
    validate_adapter(temporary, manifest, ready.base, max_rank=ready.spec.max_lora_rank)
    prove(temporary)
    shutil.rmtree(folder.package, ignore_errors=True)
    publish_folder(temporary, folder.package)
    read_package(folder.package, manifest.digest)
    return manifest


def summary_of(ready: Prepared, evaluation: AdapterEvaluation) -> Evaluation:
    """The few numbers that a job shows."""
    own, holdout, renderer = evaluation.published, ready.holdout, ready.renderer
    plain = [len(renderer.prompt_ids(row.input)) for row in holdout]
    instructed = [len(renderer.prompt_ids(row.input, ready.spec.instruction_prompt)) for row in holdout]
    executed = own.constrained.execution_match
    return Evaluation(
        holdout_count=own.constrained.row_count,
        exact_match=own.constrained.exact_match.value,
        field_f1=own.constrained.field_f1.value,
        execution_match=executed.value if executed else None,
        instruction_prompt_tokens=sum(instructed) / len(instructed),
        adapter_prompt_tokens=sum(plain) / len(plain),
        holdout_loss=own.holdout_loss,
    )


def _manifest(
    ready: Prepared, folder: RunFolder, evaluation: AdapterEvaluation, summary: Evaluation,
    canaries: tuple[Canary, ...], made_of: Mapping[str, str | int],
) -> AdapterManifest:  # fmt: skip
    spec, plan = ready.spec, ready.plan
    saved = summary.instruction_prompt_tokens - summary.adapter_prompt_tokens if spec.instruction_prompt else 0.0
    own = evaluation.published.constrained
    measures = {
        "exact_match": own.exact_match, "field_f1": own.field_f1, "execution_match": own.execution_match,
        "rouge_l": own.rouge_l, "schema_valid": own.schema_valid,
        "own_stop_rate": evaluation.published.unconstrained.own_stop_rate,
    }  # fmt: skip
    return AdapterManifest(
        base_model_id=ready.base.model_id,
        base_model_digest=ready.base.digest,
        prompt_digest=ready.renderer.digest,
        contract_name=spec.contract_name,
        contract=ready.contract.spec,
        rank=plan.rank,
        alpha=plan.alpha,
        use_rslora=plan.use_rslora,
        target_modules=ready.base.architecture.target_modules,
        dataset_digest=spec.dataset_digest,
        canaries=canaries,
        instruction_prompt_tokens=round(saved),
        output_tokens_saved=evaluation.output_tokens_saved,
        training={**settings(plan, spec), **record_of(folder.adapter), **made_of},
        metrics={name: measure.value for name, measure in measures.items() if measure is not None},
    )
