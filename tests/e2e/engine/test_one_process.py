"""Steps of the engine's model that never end, with the executor that runs them."""

from __future__ import annotations

import threading

import pytest

from inference_svc.engine import step_limit


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore")  # importing vLLM takes ten seconds, and warns
@pytest.mark.parametrize("part", ["execute_model", "sample_tokens"])
def test_each_part_of_a_step_is_held_to_the_limit(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noticed while it runs. What happens then: tests/unit/inference_svc/test_step_limit.py."""
    from vllm import envs
    from vllm.v1.executor.uniproc_executor import UniProcExecutor

    from inference_svc.engine.one_process import OneProcess

    late = threading.Event()
    monkeypatch.setattr(step_limit, "_end_process", late.set)
    monkeypatch.setattr(envs, "VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS", 1, raising=False)
    monkeypatch.setattr(UniProcExecutor, "_init_executor", lambda _executor: None)
    monkeypatch.setattr(UniProcExecutor, part, lambda _executor: late.wait(60))
    executor = object.__new__(OneProcess)  # without an engine's settings, which only a model would need
    executor._init_executor()

    assert getattr(executor, part)()
