"""The model in the engine's own process, as vLLM has it on one GPU.

On CPUs vLLM gives it another one, to set up OpenMP, which our environment does (`VllmEngine`). The two wait for each
other in busy loops, on cores that have work to do: a request alone took 360 ms at the median instead of 336, one of
three 424 instead of 371, and the engine started in 37 s instead of 20 (in turns, two cores of an Intel Xeon).
"""

from __future__ import annotations

from typing import Any

from vllm import envs
from vllm.v1.executor.uniproc_executor import UniProcExecutor

from inference_svc.engine.step_limit import StepLimit


class OneProcess(UniProcExecutor):
    """Keeps the limit to a step's time that vLLM has between two processes (`VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS`)."""

    def _init_executor(self) -> None:
        super()._init_executor()
        self._limit = StepLimit(envs.VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS)

    def execute_model(self, *args: Any, **kwargs: Any) -> Any:  # vLLM's signature, passed through
        """The forward pass of a step."""
        with self._limit:
            return super().execute_model(*args, **kwargs)

    def sample_tokens(self, *args: Any, **kwargs: Any) -> Any:  # vLLM's signature, passed through
        """What follows it."""
        with self._limit:
            return super().sample_tokens(*args, **kwargs)
