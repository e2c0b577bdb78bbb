"""Adapters and their answers in real vLLM, greedily and as the inference service has them. In a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from vllm import LLM, SamplingParams
from vllm.lora.request import LoRARequest
from vllm.outputs import RequestOutput
from vllm.sampling_params import RequestOutputKind
from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

from shared.base_model import BaseModel
from shared.contracts.compiled import CompiledContract
from trainer_svc.engine.decoding import allowed_tokens
from trainer_svc.engine.prompt_set import PromptSet

_BLOCK_TOKENS = 128
"""Room that the last block of a sequence may leave, on every platform."""
_MEMORY_RATIO = 0.1
"""Of a GPU's memory that must be free at the start; more would refuse to start beside other trainings."""
_MAX_SEQUENCES = 64
_CACHE_BYTES = 1 << 30
"""For all sequences that are answered at once, which may together need more: vLLM puts some off then. One of them has
its room even where it takes more."""
_IS_FREE = "is_free"
_Mask = Callable[[list[int], torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Completion:
    """One answer."""

    token_ids: tuple[int, ...]
    logprob: float | None
    """Of all its tokens, before the contract leaves any out; None where nobody asked."""


class VllmAnswers:
    """An engine in this process that is guided by a contract, and the adapters that it is asked with."""

    def __init__(
        self, base: BaseModel, contract: CompiledContract, *, dtype: torch.dtype, max_lora_rank: int,
        context_tokens: int, sequences: int, pulse: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """`pulse` is called after each step, of up to `sequences` answers at once."""
        self._base, self._contract, self._context_tokens, self._pulse = base, contract, context_tokens, pulse
        llm = start_vllm(
            base, dtype=dtype, max_lora_rank=max_lora_rank, context_tokens=context_tokens,
            sequences=max(1, min(sequences, _MAX_SEQUENCES)), logits_processors=[guided_by(contract)],
        )  # fmt: skip
        self._engine = llm.llm_engine
        self._adapters: dict[str, LoRARequest] = {}

    def load(self, adapter: Path) -> None:
        """Raises what vLLM raises, of many classes, where it refuses the adapter."""
        self._engine.add_lora(self._request(str(adapter.resolve())))

    def answer(self, asked: PromptSet) -> list[list[int]]:
        """Token ids of each prompt's answer, as `trainer_svc.engine.generation.generate` has them."""
        budgets = asked.budgets(self._contract.min_tokens, self._context_tokens)
        fitting = [place for place, budget in enumerate(budgets) if budget]
        answers: list[list[int]] = [[] for _ in budgets]
        found = self.complete(
            [asked.prompts[place] for place in fitting], [budgets[place] for place in fitting],
            Path(asked.adapter) if asked.adapter else None, is_constrained=asked.is_constrained,
        )  # fmt: skip
        for place, completion in zip(fitting, found, strict=True):
            answers[place] = list(completion.token_ids)
        return answers

    def complete(
        self, prompts: Sequence[Sequence[int]], budgets: Sequence[int], adapter: Path | None, *,
        is_constrained: bool = True, with_logprobs: bool = False,
    ) -> list[Completion]:  # fmt: skip
        """Answers of the adapter, or of the base alone, of at most so many tokens each."""
        request = None if adapter is None else self._request(str(adapter.resolve()))
        for place, (prompt, budget) in enumerate(zip(prompts, budgets, strict=True)):
            asked: Any = {"prompt_token_ids": list(prompt)}
            params = SamplingParams(
                temperature=0.0, max_tokens=budget, stop_token_ids=list(self._base.stop_ids), detokenize=False,
                logprobs=0 if with_logprobs else None, extra_args={_IS_FREE: not is_constrained},
                output_kind=RequestOutputKind.FINAL_ONLY,
            )  # fmt: skip
            self._engine.add_request(str(place), asked, params, lora_request=request)
        found: dict[int, Completion] = {}
        while self._engine.has_unfinished_requests():
            for output in self._engine.step():
                assert isinstance(output, RequestOutput)
                own = output.outputs[0]
                found[int(output.request_id)] = Completion(tuple(own.token_ids), own.cumulative_logprob)
            self._pulse()
        return [found[place] for place in range(len(prompts))]

    def _request(self, folder: str) -> LoRARequest:
        """Always the same for a folder: what vLLM computed for one number is kept for it."""
        number = len(self._adapters) + 1
        return self._adapters.setdefault(folder, LoRARequest(f"adapter-{number}", number, folder))


def start_vllm(
    base: BaseModel, *, dtype: torch.dtype, max_lora_rank: int, context_tokens: int, sequences: int,
    logits_processors: Sequence[Any] = (),
) -> LLM:  # fmt: skip  # logits processors are classes of vLLM's
    """An engine in this process, for so many sequences of at most so many tokens, prompt and answer, and one adapter.

    The environment must be that of `trainer_svc.engine.vllm_process.vllm_environment`.
    """
    token_bytes = 2 * base.layer_count * base.kv_head_count * base.head_size * dtype.itemsize
    # Layers with a window and those without take their blocks from two halves, as it were: twice is always enough.
    sequence_bytes = 2 * token_bytes * (context_tokens + _BLOCK_TOKENS)
    return LLM(
        model=str(base.folder),
        dtype=str(dtype).removeprefix("torch."),  # type: ignore[arg-type]  # one of its names
        max_model_len=context_tokens,
        max_num_seqs=sequences,
        kv_cache_memory_bytes=max(min(sequence_bytes * (sequences + 1), _CACHE_BYTES), 2 * sequence_bytes),
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


def guided_by(contract: CompiledContract) -> type[AdapterLogitsProcessor]:
    """Keeps requests of an engine, but for free ones, to the contract within their own `max_tokens`."""

    class Guided(AdapterLogitsProcessor):
        def is_argmax_invariant(self) -> bool:
            return False

        def new_req_logits_processor(self, params: SamplingParams) -> _Mask | None:
            if params.extra_args and params.extra_args[_IS_FREE]:
                return None
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
