"""An adapter package in real vLLM: loaded by its rules, asked its canaries. Runs in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import vllm
from vllm import LLM, SamplingParams
from vllm.config.lora import LoRAConfig
from vllm.lora.peft_helper import PEFTHelper
from vllm.lora.request import LoRARequest
from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

from shared.adapter.manifest import AdapterManifest
from shared.adapter.replay import replayed_ratio
from shared.base_model import BaseModel
from shared.contracts.compiled import CompiledContract
from trainer_svc.domain.run import ServedType
from trainer_svc.domain.servability import ServabilityMode, ServabilityProof, refusal
from trainer_svc.engine.base import dtype_of
from trainer_svc.engine.decoding import allowed_tokens

_BLOCK_TOKENS = 128
"""Room that the last block of a sequence may leave, on every platform."""
_MEMORY_RATIO = 0.1
"""Of a GPU's memory that must be free at the start; more would refuse to start beside other trainings."""
_MOST_WORDS = 500
"""Characters of an error of vLLM, which may list every layer."""
_Mask = Callable[[list[int], torch.Tensor], torch.Tensor]


def replay_in_vllm(
    package: Path,
    manifest: AdapterManifest,
    base: BaseModel,
    contract: CompiledContract,
    *,
    max_lora_rank: int,
    served_type: ServedType = ServedType.AUTO,
) -> ServabilityProof:
    """What vLLM makes of the adapter and of its canaries, greedily and under the contract, as the inference service.

    Raises:
        StateConflict: ADAPTER_REJECTED, vLLM refuses the adapter's configuration or tensors.
    """
    try:
        PEFTHelper.from_local_dir(str(package), base.max_positions).validate_legal(
            LoRAConfig(max_lora_rank=max_lora_rank)  # type: ignore[arg-type]  # vLLM refuses other ranks itself
        )
    except (ValueError, TypeError, KeyError) as err:
        raise refusal("vLLM's check of the configuration", _words(err, package)) from err
    canaries = manifest.canaries
    budgets = [max(len(canary.expected_ids), contract.min_tokens) for canary in canaries]
    lengths = [len(canary.prompt_ids) + budget for canary, budget in zip(canaries, budgets, strict=True)]
    engine = start_vllm(
        base, dtype=dtype_of(served_type), max_lora_rank=max_lora_rank, context_tokens=max(lengths, default=1),
        sequences=max(1, len(canaries)), logits_processors=[guided_by(contract)],
    )  # fmt: skip
    request = LoRARequest("adapter", 1, str(package.resolve()))
    try:
        engine.llm_engine.add_lora(request)
    except Exception as err:  # of many classes
        raise refusal("vLLM's check of the tensors", _words(err, package)) from err
    prompts: Any = [{"prompt_token_ids": list(canary.prompt_ids)} for canary in canaries]
    params = [_greedy(budget, base.stop_ids) for budget in budgets]

    def ratios(lora: LoRARequest | None) -> tuple[float, ...]:
        outputs = engine.generate(prompts, params, lora_request=lora, use_tqdm=False) if canaries else []
        pairs = zip(outputs, canaries, strict=True)
        return tuple(replayed_ratio(output.outputs[0].token_ids, canary.expected_ids) for output, canary in pairs)

    return ServabilityProof(ServabilityMode.VLLM, max_lora_rank, vllm.__version__, ratios(request), ratios(None))


def _words(error: Exception, package: Path) -> str:
    """What vLLM says, without a path of this machine: the tenant reads it."""
    text = str(error) or type(error).__name__
    return text.replace(str(package.resolve()), "the package")[:_MOST_WORDS]


def start_vllm(
    base: BaseModel, *, dtype: torch.dtype, max_lora_rank: int, context_tokens: int, sequences: int,
    logits_processors: Sequence[Any] = (),
) -> LLM:  # fmt: skip  # logits processors are classes of vLLM's
    """An engine in this process, with room for so many sequences of so many tokens and for one adapter.

    The environment must be that of `trainer_svc.engine.servability.vllm_environment`.
    """
    keys = base.kv_head_count * base.head_size
    token_bytes = 2 * base.layer_count * keys * dtype.itemsize
    # Layers with a window and those without take their blocks from two halves, as it were: twice is always enough.
    cache_bytes = 2 * token_bytes * (context_tokens + _BLOCK_TOKENS) * (sequences + 1)
    return LLM(
        model=str(base.folder),
        dtype=str(dtype).removeprefix("torch."),  # type: ignore[arg-type]  # one of its names
        max_model_len=min(context_tokens + 1, base.max_positions),
        max_num_seqs=sequences,
        kv_cache_memory_bytes=cache_bytes,
        gpu_memory_utilization=_MEMORY_RATIO,
        distributed_executor_backend="uni",
        enable_lora=True,
        lora_target_modules=list(base.architecture.target_modules),
        max_loras=1,
        max_lora_rank=max_lora_rank,
        enforce_eager=True,
        async_scheduling=False,
        logits_processors=list(logits_processors),
    )


def _greedy(budget: int, stop_ids: Sequence[int]) -> SamplingParams:
    return SamplingParams(temperature=0.0, max_tokens=budget, stop_token_ids=list(stop_ids), detokenize=False)


def guided_by(contract: CompiledContract) -> type[AdapterLogitsProcessor]:
    """Keeps every request of an engine to the contract, within its own `max_tokens`."""

    class Guided(AdapterLogitsProcessor):
        def is_argmax_invariant(self) -> bool:
            return False

        def new_req_logits_processor(self, params: SamplingParams) -> _Mask:
            assert params.max_tokens is not None
            return _mask(contract, params.max_tokens)

    return Guided


def _mask(contract: CompiledContract, budget: int) -> _Mask:
    guide, seen = contract.guide(), 0

    def apply(output_ids: list[int], logits_V: torch.Tensor) -> torch.Tensor:  # tensor shapes in names
        nonlocal seen
        for token in output_ids[seen:]:
            assert guide.advance(token), token
        seen = len(output_ids)
        allowed = torch.from_numpy(allowed_tokens(guide, budget - seen)).to(logits_V.device)
        masked = torch.full_like(logits_V, -torch.inf)
        masked[allowed] = logits_V[allowed]
        return masked

    return apply
