"""What a run's state on disk was made by: an update of the trainer, or of its base model, may come in between."""

from __future__ import annotations

import json
import logging
import shutil

from shared.base_model import BaseModel
from shared.digest import sha256_file
from shared.files import write_atomic
from shared.prompt import PromptRenderer
from trainer_svc.domain.recipe import RECIPE_VERSION
from trainer_svc.domain.run import RunFolder, RunSpec
from trainer_svc.domain.servability import ServabilityMode
from trainer_svc.engine.provenance import vllm_version

_log = logging.getLogger(__name__)


def keep_to_answerer(folder: RunFolder, spec: RunSpec) -> None:
    """Removes what an evaluation kept where an earlier attempt asked somebody else: an operator changes settings.

    The rows that the live revision was trained on are not asked of it; they may be gone since.
    """
    is_vllm = spec.servability_proof is ServabilityMode.VLLM
    body = {
        "answered_by": vllm_version() if is_vllm else spec.servability_proof.value,
        "served_type": spec.served_type.value,
        "served_context_tokens": spec.served_context_tokens,
        "live_digest": spec.live_digest,
        "live_rows": sha256_file(folder.live_rows) if folder.live_rows.is_file() else "",
    }
    data, place = json.dumps(body).encode(), folder.evaluations / "answerer.json"
    if place.is_file() and place.read_bytes() == data:
        return
    if folder.evaluations.is_dir():
        _log.warning("the evaluation begins anew: an earlier attempt asked somebody else")
        shutil.rmtree(folder.evaluations)
    write_atomic(place, data)


def keep_to_recipe(folder: RunFolder, base: BaseModel, renderer: PromptRenderer, processes: int = 1) -> None:
    """Removes checkpoints and results that another recipe made: the manifest would tell of another adapter."""
    recipe = {"version": RECIPE_VERSION, "base_model_digest": base.digest, "prompt_digest": renderer.digest}
    several = {"processes": processes} if processes > 1 else {}  # the random state of each is kept
    data = json.dumps(recipe | several).encode()
    trained = (folder.checkpoints, folder.best, folder.former_best, folder.milestones, folder.adapter)
    made = (*trained, folder.evaluations, folder.package, folder.result)
    state = [path for path in made if path.exists()]
    if state and not (folder.recipe.is_file() and folder.recipe.read_bytes() == data):
        _log.warning("the run begins anew: its state is another version's, or another base model's")
        for path in state:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_atomic(folder.recipe, data)
