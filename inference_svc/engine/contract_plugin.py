"""Delivers compiled contracts inside vLLM, through its entry point for plugins (`vllm.general_plugins`).

Private parts of vLLM 0.32 that this file relies on, pinned by tests/contract/test_vllm_hooks.py:

- `vllm.v1.structured_output.backend_outlines.OutlinesBackend`, imported lazily by
  `StructuredOutputManager.grammar_init` when the request's backend is "outlines": replaced by `ContractBackend`.
- `StructuredOutputManager._create_grammar(request)`, run off the scheduler's thread, where an exception fails only its
  request: replaced, because the backend's own `compile_grammar` does not see the request's token budget.
- `StructuredOutputManager.grammar_bitmask(requests, ids, drafts)`, whose bookkeeping for drafts and reasoning costs as
  much for each request as its mask: replaced while there are no drafts.
- `StructuredOutputManager.grammar_init(request)` with `_use_async_grammar_compilation`, read for each request: switched
  off for contracts that are in memory.
- `vllm.v1.structured_output.utils.apply_grammar_bitmask(scheduled, grammars, batch, logits)`, imported by name into the
  model runner: replaced on CPU by `mask_kernel`.
- `request.max_tokens`, `request.num_prompt_tokens`, `request.structured_output_request.structured_output_key`.

The two files `finite_*` name theirs; they are registered here, since whoever serves contracts needs them.

No tenant schema is compiled here: requests name a contract by digest, and its compiled form is mapped from disk.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference_svc.engine.orphan import die_with_parent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONTRACT_DIR_VARIABLE = "GOLDSMITH_CONTRACT_DIR"
"""Set by the service before the engine's processes start; they inherit it."""
FINITE_VARIABLE = "GOLDSMITH_FINITE_GUARD"
"""`0` leaves what is not finite to vLLM, to measure against; set as the other."""
PREFIX = "goldsmith-contract:"
"""What a request's `regex` begins with; a legal regex, so vLLM's own validation lets it pass."""
_CACHED_CONTRACTS = 256
"""Arrays are memory maps, shared with the front end by the page cache."""


def contract_regex(digest: str) -> str:
    """The `regex` by which a request names its contract."""
    return PREFIX + digest.removeprefix("sha256:")


def register() -> None:
    """Entry point, called once in every vLLM process; only processes of the inference service are changed."""
    if CONTRACT_DIR_VARIABLE not in os.environ:
        return
    die_with_parent()
    import torch
    from vllm.v1 import structured_output
    from vllm.v1.structured_output import backend_outlines
    from vllm.v1.structured_output.backend_types import StructuredOutputBackend

    from inference_svc.engine import finite_scheduler, finite_worker, mask_kernel
    from inference_svc.engine.contract_grammar import ContractGrammar
    from shared.contracts.compiled import CompiledContract
    from shared.contracts.report import EngineName
    from shared.contracts.store import read_contract

    folder = Path(os.environ[CONTRACT_DIR_VARIABLE])

    loaded: set[str] = set()
    """Specs of requests whose contract is an automaton that was read before."""

    @lru_cache(_CACHED_CONTRACTS)
    def contract(hex_digest: str) -> CompiledContract:
        assert re.fullmatch("[0-9a-f]{64}", hex_digest), hex_digest
        found = read_contract(folder / hex_digest)
        if found.report.engine is EngineName.OUTLINES:
            loaded.add(PREFIX + hex_digest)
        return found

    class ContractBackend(StructuredOutputBackend):
        """vLLM's backend interface; grammars are made by `create_grammar`, which knows the budget."""

        def compile_grammar(
            self, request_type: Any, grammar_spec: str, stop_token_ids: Any = None
        ) -> Any:  # vLLM's types
            raise RuntimeError("contracts are created with their request's budget, never without")

        def allocate_token_bitmask(self, max_num_seqs: int) -> torch.Tensor:
            return torch.full((max_num_seqs, (self.vocab_size + 31) // 32), -1, dtype=torch.int32)

        def destroy(self) -> None:
            contract.cache_clear()

    def create_grammar(self: Any, request: Any) -> ContractGrammar:  # vLLM's manager and request
        _, spec = request.structured_output_request.structured_output_key
        if not spec.startswith(PREFIX):
            raise ValueError("only compiled contracts are served")
        context = self.vllm_config.model_config.max_model_len
        budget = min(request.max_tokens, context - request.num_prompt_tokens)
        return ContractGrammar(contract(spec.removeprefix(PREFIX)), budget)

    manager: Any = structured_output.StructuredOutputManager
    module: Any = backend_outlines
    module.OutlinesBackend = ContractBackend
    manager._create_grammar = create_grammar  # noqa: SLF001  # hooks pinned by a test
    manager.grammar_init = _direct_init(manager.grammar_init, loaded)
    manager.grammar_bitmask = _lean_bitmask(manager.grammar_bitmask)
    mask_kernel.register()
    is_guarding = os.environ.get(FINITE_VARIABLE, "1") != "0"
    finite_worker.register(is_guarding=is_guarding)
    if is_guarding:
        finite_scheduler.register()


def _direct_init(stock: Callable[..., None], loaded: set[str]) -> Callable[..., None]:
    """`grammar_init` that makes the grammar of a loaded automaton at once.

    The stock way hands it to a thread, while the engine steps on with whatever requests are ready: a full batch came
    together only after dozens of steps.
    """

    def grammar_init(manager: Any, request: Any) -> None:  # vLLM's types
        structured = request.structured_output_request
        is_loaded = structured is not None and structured.structured_output_key[1] in loaded
        manager._use_async_grammar_compilation = not is_loaded  # noqa: SLF001  # as vLLM itself does for some executors
        stock(manager, request)

    return grammar_init


def _lean_bitmask(stock: Callable[..., Any]) -> Callable[..., Any]:  # vLLM's method, whose types are its own
    """`grammar_bitmask` for requests without drafts; all others take the stock way."""
    from inference_svc.engine.contract_grammar import write_mask

    def grammar_bitmask(manager: Any, requests: Any, ids: Any, drafts: Any) -> NDArray[np.int32] | None:
        if not ids or manager.vllm_config.num_speculative_tokens:
            masks: NDArray[np.int32] | None = stock(manager, requests, ids, drafts)
            return masks
        if manager._grammar_bitmask is None:  # noqa: SLF001  # as the stock method does
            places = manager.vllm_config.scheduler_config.max_num_seqs
            manager._grammar_bitmask = manager.backend.allocate_token_bitmask(places)  # noqa: SLF001
        rows: NDArray[np.int32] = manager._grammar_bitmask[: len(ids)].numpy()  # noqa: SLF001
        for row, request_id in zip(rows, ids, strict=True):
            write_mask(row, requests[request_id].structured_output_request.grammar.mask())
        return rows

    return grammar_bitmask
