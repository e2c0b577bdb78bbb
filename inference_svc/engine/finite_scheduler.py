"""In the scheduler: a request that computed something non-finite ends in that step, and its adapter serves nobody more.

Adapters are barred by the engine's id for them, which is never used again: no request of theirs is answered from then
on, whether it ran beside, waited, or was on its way, and none can read from the prefix cache what was zeroed.

Private parts of vLLM 0.32 that this file relies on, pinned by tests/contract/test_vllm_hooks.py:
`Scheduler.update_from_output` and what of a step's output it reads, `Scheduler.grammar_compile_error_reqs` (ids that it
ends with an error), `KVCacheManager.evict_blocks`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

NON_FINITE = "goldsmith:non-finite"
"""Stop reason of requests that end here."""
POISONED = "goldsmith_poisoned"
"""Attribute of a step's output: `Poison` by request, set by the worker where there is any.

The scheduler may have forgotten the request by then: its caller left during the step.
"""


class Poison(NamedTuple):
    """What the worker knows of a request that computed something non-finite."""

    lora_id: int
    """vLLM's id of its adapter; 0 for the base model."""
    blocks: list[int]
    """Of the KV cache, that it wrote to and that are zero now."""


def ending(stock: Callable[..., Any]) -> Callable[..., Any]:  # vLLM's method, whose types are its own
    """`update_from_output` that ends poisoned requests, and all of their adapters, with an error and no token."""

    def update_from_output(scheduler: Any, scheduler_output: Any, output: Any) -> Any:
        poisoned: dict[str, Poison] = getattr(output, POISONED, {})
        barred: set[int] = scheduler.__dict__.setdefault("goldsmith_barred", set())
        if not poisoned and not barred:
            return stock(scheduler, scheduler_output, output)
        requests = scheduler.requests
        for poison in poisoned.values():
            barred |= {poison.lora_id} - {0}
            scheduler.kv_cache_manager.evict_blocks(set(poison.blocks))  # of full prompts they would be found by prefix
        ended = (poisoned.keys() & requests.keys()) | {
            name
            for name, request in requests.items()
            if request.lora_request is not None and request.lora_request.lora_int_id in barred
        }
        for name in ended & output.req_id_to_index.keys():
            output.sampled_token_ids[output.req_id_to_index[name]] = []
        scheduler.grammar_compile_error_reqs.update(ended)
        outputs = stock(scheduler, scheduler_output, output)
        for batch in outputs.values():
            for one in batch.outputs:
                if one.request_id in ended:
                    one.stop_reason = NON_FINITE
        return outputs

    return update_from_output


def register() -> None:
    """Replaces the method, which the asynchronous scheduler inherits."""
    from vllm.v1.core.sched.scheduler import Scheduler

    scheduler: Any = Scheduler
    scheduler.update_from_output = ending(scheduler.update_from_output)
