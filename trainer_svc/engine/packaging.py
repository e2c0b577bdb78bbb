"""The adapter's package: its files, and the manifest that says what they are and what they were measured to do."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path

from shared.adapter.manifest import AdapterManifest
from shared.adapter.package import CONFIG_NAME, WEIGHTS_NAME, read_package, write_package
from shared.adapter.validate import validate_adapter
from shared.files import publish_folder
from trainer_svc.domain.evaluation import AdapterEvaluation
from trainer_svc.domain.plan import settings
from trainer_svc.domain.run import RunFolder
from trainer_svc.domain.run_result import Evaluation
from trainer_svc.engine.preparation import Prepared
from trainer_svc.engine.validation import record_of


def draft_manifest(ready: Prepared, folder: RunFolder, made_of: Mapping[str, str | int]) -> AdapterManifest:
    """What can be said of the folder's adapter before it is evaluated; it has no canaries yet.

    Raises:
        StateConflict: ADAPTER_REJECTED, it breaks one of our own rules on what can be served.
    """
    spec, plan = ready.spec, ready.plan
    manifest = AdapterManifest(
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
        canaries=(),
        training={**settings(plan, spec), **record_of(folder.adapter), **made_of},
    )
    validate_adapter(folder.adapter, manifest, ready.base, max_rank=spec.max_lora_rank)
    return manifest


def write_draft(folder: RunFolder, manifest: AdapterManifest) -> Path:
    """A package with the folder's adapter, to be shown to the engine that will serve it."""
    shutil.rmtree(folder.draft, ignore_errors=True)
    write_package(folder.draft, manifest, _sources(folder))
    return folder.draft


def pack(
    ready: Prepared, folder: RunFolder, draft: AdapterManifest, evaluation: AdapterEvaluation, summary: Evaluation
) -> AdapterManifest:
    """Writes the package of the folder's adapter, of which `draft` has been proved to be servable.

    Raises:
        StateConflict: ADAPTER_REJECTED, it is no longer what it was.
    """
    temporary = folder.path / "package.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    saved = summary.instruction_prompt_tokens - summary.adapter_prompt_tokens if ready.spec.instruction_prompt else 0.0
    wanted = dataclasses.replace(
        draft,
        instruction_prompt_tokens=round(saved),
        output_tokens_saved=evaluation.output_tokens_saved,
        metrics=_metrics(evaluation),
    )
    manifest = write_package(temporary, wanted, _sources(folder))
    validate_adapter(temporary, manifest, ready.base, max_rank=ready.spec.max_lora_rank)
    shutil.rmtree(folder.package, ignore_errors=True)
    publish_folder(temporary, folder.package)
    read_package(folder.package, manifest.digest)
    return manifest


def _sources(folder: RunFolder) -> dict[str, Path]:
    return {name: folder.adapter / name for name in (WEIGHTS_NAME, CONFIG_NAME)}


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


def _metrics(evaluation: AdapterEvaluation) -> dict[str, float]:
    own = evaluation.published.constrained
    measures = {
        "exact_match": own.exact_match, "field_f1": own.field_f1, "execution_match": own.execution_match,
        "rouge_l": own.rouge_l, "schema_valid": own.schema_valid,
        "own_stop_rate": evaluation.published.unconstrained.own_stop_rate,
    }  # fmt: skip
    return {name: measure.value for name, measure in measures.items() if measure is not None}
