"""In the worker: no NaN and no infinity that could reach another request outlives the step that computed it.

A token whose value vector is not finite in any layer attends to itself, and 0 * NaN, 0 * inf and p * inf are not finite
either: its residual stream stays so up to the last layer. So the final hidden states of *all* tokens of a step, partial
prefills included, tell whether anything in the KV cache was poisoned, and a step that finds them finite has left no
poison behind. The raw logits are looked at too, before any mask: they alone tell of a broken output projection.

vLLM leaves such values in the blocks of the KV cache. Attention multiplies what lies beyond the end of a sequence by
probability 0, which keeps finite garbage out and lets NaN in: whoever gets the block next is answered nonsense. So the
blocks that such a request wrote to in this step are zeroed before the next step begins.

Private parts of vLLM 0.32 that this file relies on, pinned by tests/contract/test_vllm_hooks.py: `execute_model` and
`sample_tokens` of `GPUModelRunner` (which the CPU runner inherits), the state that the first leaves for the second, the
block tables of its input batch and its attention groups. An infinite key with finite values may score -inf, change
nothing and stay: attention overwrites the scores of keys beyond the end of a sequence, whatever they are.

Scheduling must be synchronous, on one pipeline stage, which vLLM 0.32 forces on CPUs. Otherwise the next step is
scheduled before the scheduler hears of the poison. Blocks would be zeroed in time even so, since a worker takes steps
in turn; but a request of the base model that found its prefix in one of them would be answered from zeros, and what
`reporting` puts on the output would be lost: the scheduler gets the one within an `AsyncGPUModelRunnerOutput`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from inference_svc.engine.finite_scheduler import POISONED, Poison

AUDIT = "goldsmith_poisoned_blocks"
"""Name of the worker's method that counts the KV cache's blocks with anything that is not finite."""


def non_finite_rows(values_R_N: torch.Tensor) -> list[int]:
    """Rows with NaN or an infinity.

    One sum a row, which any of them makes non-finite; 32 rows of 131,072 bf16 logits take 0.2 ms on one core, vLLM's
    own count of NaN 5.8 ms. Sums are kept in float32, where those of finite logits and hidden states cannot overflow.
    """
    kept = torch.float32 if values_R_N.dtype is torch.float16 else None  # bf16 is summed in float32 and reaches as far
    sums_R = values_R_N.sum(-1, dtype=kept)
    finite_R = torch.isfinite(sums_R)
    return [] if bool(finite_R.all()) else torch.nonzero(~finite_R).flatten().tolist()


def owners(tokens: Sequence[int], starts: Sequence[int]) -> set[int]:
    """Requests that own tokens of a step.

    `starts[i]` is the place of the first token of request `i` in the step; the last entry is the number of all tokens.
    """
    return {bisect_right(starts, token) - 1 for token in tokens}


def guarded(stock: Callable[..., Any]) -> Callable[..., Any]:  # vLLM's method, whose types are its own
    """`execute_model` that zeroes what a poisoned request wrote, and notes the request for `reporting`."""

    @torch.inference_mode()
    def execute_model(runner: Any, scheduler_output: Any, *args: Any, **kwargs: Any) -> Any:
        result = stock(runner, scheduler_output, *args, **kwargs)
        state = runner.execute_model_state
        runner.goldsmith_poisoned = {}
        if state is not None:
            assert not runner.use_async_scheduling, "the scheduler would not hear of it, or too late"
            batch = runner.input_batch
            for row in _spoiled(runner, state):
                poison = Poison(int(batch.request_lora_mapping[row]), _scrub(runner, row))
                runner.goldsmith_poisoned[batch.req_ids[row]] = poison
        return result

    return execute_model


def reporting(stock: Callable[..., Any]) -> Callable[..., Any]:  # as above
    """`sample_tokens` that tells the scheduler of poisoned requests, where there were any."""

    def sample_tokens(runner: Any, *args: Any, **kwargs: Any) -> Any:
        output = stock(runner, *args, **kwargs)
        if runner.goldsmith_poisoned:
            setattr(output, POISONED, runner.goldsmith_poisoned)
        return output

    return sample_tokens


def _spoiled(runner: Any, state: Any) -> set[int]:  # vLLM's runner and its state
    """Rows of the input batch whose requests computed something that is not finite in this step."""
    starts = runner.query_start_loc.np[: runner.input_batch.num_reqs + 1].tolist()
    found = owners(non_finite_rows(state.hidden_states[: starts[-1]]), starts)
    if state.logits is not None and state.spec_decode_metadata is None:  # else there are rows of drafts among them
        found.update(non_finite_rows(state.logits))
    return found


def _scrub(runner: Any, row: int) -> list[int]:  # vLLM's runner
    """Zeroes the blocks that the tokens of this step went to. Older ones are sound, and may be shared by prefix."""
    scrubbed: list[int] = []
    batch = runner.input_batch
    begin = int(batch.num_computed_tokens_cpu[row])
    end = begin + int(runner.query_start_loc.np[row + 1] - runner.query_start_loc.np[row])
    for number, groups in enumerate(runner.attn_groups):
        table = batch.block_table[number]
        blocks = table.block_table.np[row, begin // table.block_size : -(-end // table.block_size)].tolist()
        for cache in _caches(runner, groups):
            cache[torch.tensor(blocks, device=cache.device)] = 0
        scrubbed += blocks
    return scrubbed


def _caches(runner: Any, groups: Iterable[Any]) -> Iterable[torch.Tensor]:  # vLLM's runner and its attention groups
    """The KV cache of each layer, its first dimension the number of the block."""
    count = runner.kv_cache_config.num_blocks
    for group in groups:
        for name in group.layer_names:
            cache = runner.compilation_config.static_forward_context[name].kv_cache
            if group.kernel_block_stride:
                cache = group.map_kv_cache_to_manager_blocks(cache, count)
            yield cache if cache.shape[0] == count else cache.unflatten(0, (count, -1))


def poisoned_blocks(worker: Any) -> int:  # vLLM's worker
    """Blocks, of all layers together, that hold anything which is not finite; walks the whole cache."""
    runner = worker.model_runner
    found = 0
    for groups in runner.attn_groups:
        for cache in _caches(runner, groups):
            found += sum(bool(non_finite_rows(block.reshape(1, -1))) for block in cache)
    return found


def register(*, is_guarding: bool) -> None:
    """Puts the guard into vLLM's model runner, and the audit into its worker; the latter alone to measure without."""
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner
    from vllm.v1.worker.gpu_worker import Worker

    worker: Any = Worker
    setattr(worker, AUDIT, poisoned_blocks)
    if is_guarding:
        runner: Any = GPUModelRunner
        runner.execute_model = guarded(runner.execute_model)
        runner.sample_tokens = reporting(runner.sample_tokens)
