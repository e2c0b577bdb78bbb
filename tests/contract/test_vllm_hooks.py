"""The private parts of vLLM on which the contract plugin stands are there, in the shape it needs."""

from __future__ import annotations

import inspect
from importlib.metadata import entry_points

import pytest

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
