"""Writing the model folder that Hugging Face and vLLM load; a newer state replaces the older file by file."""

import copy
import json
from pathlib import Path

from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from deploy.base_model.architecture import MODEL_ID
from deploy.base_model.tokenizer import write_tokenizer


def export(model: LlamaForCausalLM, tokenizer: Tokenizer, out: Path) -> None:
    """Writes tokenizer, configuration and bf16 weights; every file is renamed into place whole."""
    staged = out.with_name(out.name + ".tmp")
    staged.mkdir(parents=True, exist_ok=True)
    half = copy.deepcopy(model)
    half.bfloat16()
    half.save_pretrained(staged)
    config = json.loads((staged / "config.json").read_text(encoding="utf-8")) | {"goldsmith_model_id": MODEL_ID}
    (staged / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    write_tokenizer(tokenizer, staged)
    out.mkdir(parents=True, exist_ok=True)
    for file in staged.iterdir():
        file.chmod(0o644)  # safetensors writes 0600, which another user's service could not read
        file.replace(out / file.name)
    staged.rmdir()
