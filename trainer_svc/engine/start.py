"""A run that begins with the weights of an earlier revision: what it must share with it. Loads no torch."""

from __future__ import annotations

import dataclasses

from shared.adapter.manifest import AdapterManifest
from shared.adapter.package import read_package
from shared.adapter.validate import validate_adapter
from shared.base_model import BaseModel
from shared.errors import FieldViolation, InvalidInput
from shared.prompt import PromptRenderer
from trainer_svc.domain.run import Initialization, RunFolder, RunSpec


def adopt(spec: RunSpec, folder: RunFolder, base: BaseModel, renderer: PromptRenderer) -> RunSpec:
    """The spec with rank, alpha and scaling of the revision to begin with; the spec itself when there is none.

    Raises:
        InvalidInput: FIELD_INVALID naming all that the job or the server has otherwise than the revision.
        StateConflict: the package is unfit to serve, and so to begin with.
        DataLoss: its bytes rotted.
    """
    if not spec.start_digest:
        return spec
    manifest = read_package(folder.start, spec.start_digest)
    violations = [FieldViolation(path, text) for path, text in _differences(spec, manifest, base, renderer)]
    if violations:
        told = "; ".join(f"{violation.path}: {violation.description}" for violation in violations)
        raise InvalidInput("FIELD_INVALID", told, violations=violations)
    validate_adapter(folder.start, manifest, base, max_rank=spec.max_lora_rank)
    return dataclasses.replace(spec, rank=manifest.rank, alpha=manifest.alpha, use_rslora=manifest.use_rslora)


def _differences(
    spec: RunSpec, manifest: AdapterManifest, base: BaseModel, renderer: PromptRenderer
) -> list[tuple[str, str]]:
    """Paths and texts; other alphas would begin with another adapter than the revision is."""
    found = []
    if manifest.base_model_digest != base.digest:
        text = f"was trained on {manifest.base_model_id} ({manifest.base_model_digest}), this server has {base.digest}"
        found.append(("job.base_revision", text))
    if manifest.prompt_digest != renderer.digest:
        found.append(("job.base_revision", "was trained with another tokenizer or prompt template"))
    if set(manifest.target_modules) != set(base.architecture.target_modules):
        found.append(("job.base_revision", "adapts other layers than this server trains"))
    if spec.use_rslora and not manifest.use_rslora:
        found.append(("job.spec.use_rslora", "is set, base_revision was trained without: leave it out"))
    if spec.initialization is not Initialization.KAIMING:
        found.append(("job.spec.initialization", "is set, but training begins with base_revision: leave it out"))
    for name, wanted, given in (("rank", spec.rank, manifest.rank), ("alpha", spec.alpha, manifest.alpha)):
        if wanted is not None and wanted != given:
            found.append((f"job.spec.{name}", f"is {wanted:g}, base_revision has {given:g}: leave it out"))
    return found
