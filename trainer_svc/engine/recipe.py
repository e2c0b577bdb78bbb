"""What a run's state on disk was made by: an update of the trainer, or of its base model, may come in between."""

from __future__ import annotations

import json
import logging
import shutil

from shared.base_model import BaseModel
from shared.files import write_atomic
from shared.prompt import PromptRenderer
from trainer_svc.domain.run import RunFolder

_log = logging.getLogger(__name__)

RECIPE_VERSION = 5
"""Grows when the same rows and settings give other weights: 2 has batches of an order of its own, 3 a learning rate of
its own for bases of the Qwen family, 4 computes the adapter in the base's type, sums in another order, and has batches
of rows that are less alike, 5 scales and caps scores and logits as each architecture does."""


def keep_to_recipe(folder: RunFolder, base: BaseModel, renderer: PromptRenderer, processes: int = 1) -> None:
    """Removes checkpoints and results that another recipe made: the manifest would tell of another adapter."""
    recipe = {"version": RECIPE_VERSION, "base_model_digest": base.digest, "prompt_digest": renderer.digest}
    several = {"processes": processes} if processes > 1 else {}  # the random state of each is kept
    data = json.dumps(recipe | several).encode()
    made = (folder.checkpoints, folder.best, folder.former_best, folder.adapter, folder.package, folder.result)
    state = [path for path in made if path.exists()]
    if state and not (folder.recipe.is_file() and folder.recipe.read_bytes() == data):
        _log.warning("the run begins anew: its state is another version's, or another base model's")
        for path in state:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_atomic(folder.recipe, data)
