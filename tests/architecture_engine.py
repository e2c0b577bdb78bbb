"""`python -m tests.architecture_engine ORDER ANSWER`: next tokens of prompts in vLLM, with an adapter and without."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from vllm import SamplingParams
from vllm.lora.request import LoRARequest

from shared.base_model import BaseModel
from trainer_svc.engine.vllm_answers import start_vllm


def main(order: Path, answer: Path) -> None:
    """Reads `base`, `package` and `prompts`; writes token and log probability of each prompt's next."""
    body = json.loads(order.read_bytes())
    base, prompts = BaseModel.load(Path(body["base"])), body["prompts"]
    engine = start_vllm(
        base, dtype=torch.float32, max_lora_rank=16, context_tokens=max(map(len, prompts)) + 1, sequences=32
    )
    params = SamplingParams(temperature=0.0, max_tokens=1, logprobs=1, detokenize=False)
    inputs: Any = [{"prompt_token_ids": prompt} for prompt in prompts]

    def ask(lora: LoRARequest | None) -> list[tuple[int, float]]:
        found = []
        for output in engine.generate(inputs, params, lora_request=lora, use_tqdm=False):
            token, logprobs = output.outputs[0].token_ids[0], output.outputs[0].logprobs
            assert logprobs is not None
            found.append((token, logprobs[0][token].logprob))
        return found

    adapter = LoRARequest("adapter", 1, body["package"])
    found = {"adapter": ask(adapter), "base": ask(None)}
    by_transformers = engine.llm_engine.model_config.using_transformers_backend()
    answer.write_text(json.dumps({**found, "is_by_transformers": by_transformers}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
