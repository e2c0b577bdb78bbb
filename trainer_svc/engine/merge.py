"""An adapter folded into its base model: one folder that any engine loads without knowing of adapters."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from shared.adapter.package import read_package
from shared.adapter.validate import validate_adapter
from shared.base_model import BaseModel
from shared.errors import AlreadyExists
from shared.files import publish_folder
from trainer_svc.domain.plan import RANKS

_NOT_WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.gguf")


def merge_adapter(package: Path, base: BaseModel, folder: Path) -> None:
    """Writes the base with the adapter's deltas added into `folder`, which is whole once it exists.

    Added in float32 to the base's own weights and rounded to bfloat16 once. An adapter that was trained on a 4-bit base
    is merged into the unquantised one, which is what the inference service serves: rounding it to 4 bits again would
    lose most of the deltas (bitsandbytes; peft issues 1043 and 2321).

    Raises:
        AlreadyExists: there is such a folder.
        DataLoss: the package's bytes are not those of its manifest.
        StateConflict: it is no package, or belongs to another base.
    """
    if folder.exists():
        raise AlreadyExists("RESOURCE_EXISTS", f"{folder} exists", hint="name a new folder")
    manifest = read_package(package)
    validate_adapter(package, manifest, base, max_rank=max(RANKS))
    model = AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32, local_files_only=True)
    merged = PeftModel.from_pretrained(model, package, local_files_only=True).merge_and_unload()
    config = json.loads((base.folder / "config.json").read_bytes())
    # Another model than the base: adapters of the base do not fit it.
    config |= {"dtype": "bfloat16", "goldsmith_model_id": f"{base.model_id}-{manifest.digest.partition(':')[2][:12]}"}
    temporary = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(base.folder, temporary, ignore=shutil.ignore_patterns(*_NOT_WEIGHTS))
    merged.to(torch.bfloat16).save_pretrained(temporary)
    (temporary / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    publish_folder(temporary, folder)
