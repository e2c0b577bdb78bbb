"""The private parts of vLLM on which the contract plugin stands are there, in the shape it needs."""

from __future__ import annotations

import inspect
import math
from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]  # importing vLLM takes ten seconds, and warns


class TestHooks:
    """vLLM 0.32 as pinned."""

    @pytest.mark.parametrize(
        ("name", "module"), [("goldsmith_contract", "contract_plugin"), ("goldsmith_lora", "lora_kernel")]
    )
    def test_the_plugins_are_installed(self, name: str, module: str) -> None:
        """VLLM finds each plugin by its entry point in every process."""
        (found,) = entry_points(group="vllm.general_plugins", name=name)

        assert found.load().__module__ == f"inference_svc.engine.{module}"

    def test_the_outlines_backend_is_imported_when_first_needed(self) -> None:
        """Replacing the class in its module is enough: the manager looks it up by name, late."""
        from vllm.v1 import structured_output

        # The module's text: in a process with an engine the methods themselves are replaced already.
        source = inspect.getsource(structured_output).partition("def grammar_init(")[2].partition("    def ")[0]

        assert "if self._use_async_grammar_compilation:" in source
        assert "grammar.set_exception(e)" in source
        assert "from vllm.v1.structured_output.backend_outlines import OutlinesBackend" in source
        assert 'backend == "outlines"' in source
        assert "submit(self._create_grammar, request)" in source

    def test_grammars_are_created_from_the_request(self) -> None:
        """The replaced method sees the request, which knows its budget."""
        from vllm.v1.request import Request
        from vllm.v1.structured_output import StructuredOutputManager

        assert list(inspect.signature(StructuredOutputManager._create_grammar).parameters) == ["self", "request"]
        source = inspect.getsource(Request)
        assert "self.max_tokens" in source
        assert "self.num_prompt_tokens" in source

    def test_masks_are_asked_for_once_a_step(self) -> None:
        """The replaced method gets requests by id, and gives one row for each id in their order."""
        from vllm.v1 import structured_output
        from vllm.v1.core.sched.scheduler import Scheduler

        # The module's text: in a process with an engine the method itself is replaced already.
        stock = inspect.getsource(structured_output).partition("def grammar_bitmask(")[2].partition("    def ")[0]
        names = ("requests", "structured_output_request_ids", "scheduled_spec_decode_tokens")
        assert [stock.index(f"{name}:") for name in names] == sorted(stock.index(f"{name}:") for name in names)
        assert "self._grammar_bitmask = self.backend.allocate_token_bitmask(" in stock
        assert "return bitmask_tensor.numpy()" in stock
        assert "self.structured_output_manager.grammar_bitmask(" in inspect.getsource(Scheduler)

    def test_masks_reach_the_logits_through_one_function(self) -> None:
        """The model runner takes it from its module by name, and calls it with what is in it."""
        from vllm.v1.structured_output import utils
        from vllm.v1.worker import gpu_model_runner

        stock = getattr(utils.apply_grammar_bitmask, "stock", utils.apply_grammar_bitmask)
        names = ["scheduler_output", "grammar_output", "input_batch", "logits"]
        assert list(inspect.signature(stock).parameters) == names
        source = inspect.getsource(gpu_model_runner)
        assert "from vllm.v1.structured_output.utils import apply_grammar_bitmask" in source
        assert source.count("apply_grammar_bitmask(") == 1

    def test_grammar_interface_is_the_one_implemented(self) -> None:
        """No abstract method came or went."""
        from vllm.v1.structured_output.backend_types import StructuredOutputBackend, StructuredOutputGrammar

        from inference_svc.engine.contract_grammar import ContractGrammar

        assert ContractGrammar.__abstractmethods__ == frozenset()
        assert StructuredOutputGrammar.__abstractmethods__ <= set(dir(ContractGrammar))
        assert StructuredOutputBackend.__abstractmethods__ == {"compile_grammar", "allocate_token_bitmask", "destroy"}

    def test_the_state_of_a_step_is_there_between_its_two_methods(self) -> None:
        """The guard against NaN looks at logits before the mask, and at hidden states of all tokens."""
        from vllm.v1.worker.cpu_model_runner import CPUModelRunner
        from vllm.v1.worker.gpu_model_runner import ExecuteModelState, GPUModelRunner

        assert {"logits", "hidden_states", "spec_decode_metadata"} <= set(ExecuteModelState._fields)
        assert "execute_model" not in vars(CPUModelRunner)
        assert "sample_tokens" not in vars(CPUModelRunner)
        source = inspect.getsource(inspect.getmodule(GPUModelRunner))  # type: ignore[arg-type]  # it has a module
        masked = source.index("apply_grammar_bitmask(\n")
        assert source.index("def sample_tokens(") < masked
        assert source.index("self.execute_model_state = ExecuteModelState(") < source.index("def sample_tokens(")
        assert "self.query_start_loc.np[1 : num_reqs + 1] = cu_num_tokens" in source

    def test_a_step_that_computed_nan_ends_requests_through_one_set(self) -> None:
        """Ids in it end with an error and no token; the asynchronous scheduler has the same method."""
        from vllm.v1.core.kv_cache_manager import KVCacheManager
        from vllm.v1.core.sched import scheduler
        from vllm.v1.core.sched.async_scheduler import AsyncScheduler

        source = inspect.getsource(scheduler).partition("    def update_from_output(")[2].partition("    def ")[0]
        assert "error_req_ids = set(self.grammar_compile_error_reqs)" in source
        assert "error_req_ids, RequestStatus.FINISHED_ERROR" in source
        assert source.index("sampled_token_ids[req_index] if sampled_token_ids") < source.index("error_req_ids = set(")
        assert "update_from_output" not in vars(AsyncScheduler)
        assert list(inspect.signature(KVCacheManager.evict_blocks).parameters) == ["self", "block_ids"]

    def test_scheduling_is_synchronous_on_cpus(self) -> None:
        """Whatever is asked for; and the output of an asynchronous step waits for events that only CUDA has."""
        from vllm.platforms.cpu import CpuPlatform
        from vllm.v1.worker.gpu_model_runner import AsyncGPUModelRunnerOutput

        source = inspect.getsource(CpuPlatform.check_and_update_config)
        assert "\n        scheduler_config.async_scheduling = False\n" in source
        assert "torch.cuda.Event(" in inspect.getsource(AsyncGPUModelRunnerOutput.__init__)

    def test_an_executor_of_ours_is_left_as_it_is(self) -> None:
        """On CPUs vLLM replaces the one of its own that keeps the model in the engine's process, by name."""
        from vllm.platforms.cpu import CpuPlatform
        from vllm.v1.executor.abstract import Executor

        from inference_svc.engine.one_process import OneProcess

        source = inspect.getsource(CpuPlatform.check_and_update_config)
        assert source.count("distributed_executor_backend") == 2
        assert 'parallel_config.distributed_executor_backend == "uni"' in source
        config: Any = SimpleNamespace(parallel_config=SimpleNamespace(distributed_executor_backend=OneProcess))
        assert Executor.get_class(config) is OneProcess

    def test_the_kernel_for_packed_weights_is_called_as_it_wants_to_be(self) -> None:
        """It has no Python function of vLLM's around it."""
        import vllm._custom_ops  # noqa: F401  # which loads the operations

        if not hasattr(torch.ops._C, "weight_packed_linear"):
            pytest.skip("vLLM's build for this processor has no such kernel, and torch serves")
        assert str(torch.ops._C.weight_packed_linear.default._schema) == (
            "_C::weight_packed_linear(Tensor(a0!) out, Tensor(a1) mat1, Tensor(a2) mat2, Tensor(a3)? bias, "
            "bool is_vnni) -> ()"
        )

    @pytest.mark.parametrize("left", [math.inf, -math.inf, math.nan, 3e38])
    def test_attention_keeps_out_keys_of_the_last_owner_of_a_block(self, left: float) -> None:
        """Only values that are not finite must be zeroed: scores of keys beyond the end are overwritten."""
        assert torch.equal(_attention(keys=left, values=0), _attention(keys=0, values=0))
        assert not _attention(keys=0, values=math.nan).isfinite().all()

    def test_block_tables_hold_blocks_of_the_cache_manager(self) -> None:
        """In the order of the sequence, a row for each request of the batch; caches have the block first."""
        from vllm.v1.worker.block_table import BlockTable
        from vllm.v1.worker.gpu_input_batch import InputBatch
        from vllm.v1.worker.utils import AttentionGroup

        assert "self.block_table.np[row_idx, start : start + num_blocks] = block_ids" in inspect.getsource(BlockTable)
        assert "self.request_lora_mapping[req_index] = lora_id" in inspect.getsource(InputBatch)
        assert "kv_cache.stride(0) * self.kernel_block_stride" in inspect.getsource(AttentionGroup)


def _attention(*, keys: float, values: float) -> torch.Tensor:
    """What vLLM's CPU attention gives for a decoding request and a prefill whose last blocks held these before."""
    import vllm._custom_ops as ops
    from vllm.v1.attention.backends.cpu_attn import _get_attn_isa

    heads, kv_heads, size, block = 4, 2, 64, 128
    dtype, generator = torch.bfloat16, torch.Generator().manual_seed(0)
    isa = _get_attn_isa(dtype, block, size, "auto")
    starts, lengths = torch.tensor([0, 1, 34], dtype=torch.int32), torch.tensor([130, 40], dtype=torch.int32)
    blocks = torch.tensor([[1, 2], [3, 0]], dtype=torch.int32)
    cache = torch.empty(4, kv_heads, 2 * block, size, dtype=dtype)
    key_cache, value_cache = cache.chunk(2, dim=2)
    key_cache.fill_(keys)
    value_cache.fill_(values)
    places = torch.tensor([*range(block, block + 130), *range(3 * block, 3 * block + 40)])
    key, value = torch.randn(2, 170, kv_heads, size, generator=generator).to(dtype)
    query = torch.randn(34, heads, size, generator=generator).to(dtype)
    plain = {"k_scale": 1.0, "v_scale": 1.0, "kv_cache_dtype": "auto"}
    ops.cpu_attn_reshape_and_cache(key, value, key_cache, value_cache, places, isa, **plain)
    common = {"query_start_loc": starts, "seq_lens": lengths, "causal": True, "dynamic_causal": None}
    plan = ops.cpu_attn_get_scheduler_metadata(
        num_reqs=2, num_heads=heads, num_kv_heads=kv_heads, head_dim=size, dtype=dtype, sliding_window_size=-1, isa=isa,
        enable_kv_split=True, kv_cache_dtype="auto", **common,
    )  # fmt: skip
    output = torch.zeros_like(query)
    ops.cpu_attention_with_kv_cache(
        query=query, key_cache=key_cache, value_cache=value_cache, output=output, scale=size**-0.5, alibi_slopes=None,
        sliding_window=-1, block_table=blocks, softcap=0, scheduler_metadata=plan, s_aux=None, **common, **plain,
    )  # fmt: skip
    return output
