"""An adapter folded into its base model: one folder that any engine loads without knowing of adapters."""

from __future__ import annotations

import enum
import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from shared.adapter.bill_of_materials import BILL_SUFFIX, MergedModel, merged_bill
from shared.adapter.manifest import AdapterManifest, PackageFile
from shared.adapter.package import manifest_digest, read_package
from shared.adapter.signature import TrustedKeys, check_signature, read_signature
from shared.adapter.validate import check_prompt_template, validate_adapter
from shared.base_model import BaseModel
from shared.digest import hex_part, sha256_file
from shared.errors import AlreadyExists
from shared.files import publish_new_folder
from shared.names import invalid_field
from shared.prompt import PromptRenderer
from trainer_svc.domain.plan import RANKS
from trainer_svc.domain.run import TrainingMode
from trainer_svc.engine.base import load_base

BILL_NAME = f"provenance{BILL_SUFFIX}"
"""Bill of materials of the merged model, in its folder; engines do not read it."""
_WEIGHTS = (
    "*.safetensors", "*.safetensors.index.json", "*.bin", "*.bin.index.json", "*.pth", "*.pt", "*.ckpt", "*.gguf",
    "*.h5", "*.msgpack", "*.onnx", "*.onnx_data",
)  # fmt: skip
"""Files of a base model's folder, at any depth, that hold its weights in one framework's form or another's: Llama 3 has
`original/consolidated.00.pth`. The merged model has other weights."""


class MergeBase(enum.StrEnum):
    """Which weights of the base the deltas are added to."""

    ORIGINAL = "original"
    """Those in the base model's folder: what the inference service serves under the adapter."""
    DEQUANTIZED = "dequantized"
    """Those that a QLoRA training saw: rounded to 4 bits and back. Nearest to the training, further from what is
    served: after 200 steps logits were 0.5 % from the training's, 3.3 % with the original weights (2026-11)."""


def merge_adapter(
    package: Path,
    base: BaseModel,
    folder: Path,
    *,
    onto: MergeBase = MergeBase.ORIGINAL,
    trusted: TrustedKeys | None = None,
) -> None:
    """Writes the base with the adapter's deltas added into `folder`, which is whole once it exists.

    Added in float32 and rounded to bfloat16 once. Nothing is rounded to 4 bits again after that: it would lose most of
    the deltas (bitsandbytes; peft issues 1043 and 2321). With `trusted` one of its keys must have signed the package.

    Raises:
        AlreadyExists: there is such a folder, or was made meanwhile.
        DataLoss: the package's bytes are not those of its manifest.
        StateConflict: it is no package, belongs to another base or prompt template, or nobody trusted signed it.
        InvalidInput: FIELD_INVALID for DEQUANTIZED with an adapter that was not trained on such weights.
        OSError: a file cannot be read, or the disk is full or not writable.
    """
    if folder.exists():
        raise _exists(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    digest = manifest_digest(package)
    manifest = read_package(package, digest)
    if trusted is not None:
        check_signature(digest, read_signature(package), trusted)
    check_prompt_template(manifest, PromptRenderer.load(base).digest)
    validate_adapter(package, manifest, base, max_rank=max(RANKS))
    merged = PeftModel.from_pretrained(_weights(base, manifest, onto), package, local_files_only=True)
    config = json.loads((base.folder / "config.json").read_bytes())
    # Another model than the base: adapters of the base do not fit it.
    model_id = f"{base.model_id}-{hex_part(digest)[:12]}{'-nf4' if onto is MergeBase.DEQUANTIZED else ''}"
    config |= {"dtype": "bfloat16", "goldsmith_model_id": model_id}
    method = f"deltas added in float32 to the {onto} weights of the base, rounded to bfloat16 once"
    with TemporaryDirectory(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent) as room:
        temporary = Path(room, "merged")
        shutil.copytree(base.folder, temporary, ignore=shutil.ignore_patterns(*_WEIGHTS))
        merged.merge_and_unload().to(torch.bfloat16).save_pretrained(temporary)
        (temporary / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
        bill = merged_bill(manifest, digest, MergedModel(model_id, _files(temporary), method))
        (temporary / BILL_NAME).write_bytes(bill)
        try:
            publish_new_folder(temporary, folder)
        except FileExistsError as err:
            raise _exists(folder) from err


def _exists(folder: Path) -> AlreadyExists:
    return AlreadyExists("RESOURCE_EXISTS", f"{folder} exists", hint="name a new folder")


def _weights(base: BaseModel, manifest: AdapterManifest, onto: MergeBase) -> Any:  # a transformers model
    """The base in float32."""
    plain = AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32, local_files_only=True)
    if onto is MergeBase.ORIGINAL:
        return plain
    mode = manifest.training.get("mode")
    if mode != TrainingMode.QLORA:
        raise invalid_field(
            "dequantized_base", f"is for adapters that QLoRA trained on a 4-bit base, this one's mode is {mode}"
        )
    _round_to_4_bits(plain, load_base(base.folder, TrainingMode.QLORA))
    return plain


def _round_to_4_bits(plain: Any, quantized: Any) -> None:  # transformers models
    """Puts into `plain` the numbers that `quantized` computes with, where it has 4-bit weights."""
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn import Linear4bit  # type: ignore[attr-defined]  # bitsandbytes exports it without saying so

    for name, module in quantized.named_modules():
        if isinstance(module, Linear4bit):
            weight: Any = module.weight  # bitsandbytes' Params4bit
            plain.get_submodule(name).weight.data.copy_(dequantize_4bit(weight.data, weight.quant_state))


def _files(folder: Path) -> list[PackageFile]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [PackageFile(path.relative_to(folder).as_posix(), path.stat().st_size, sha256_file(path)) for path in paths]
