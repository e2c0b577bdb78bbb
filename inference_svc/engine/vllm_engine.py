"""The inference engine on vLLM: its own process, LoRA adapters, compiled contracts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference_svc.app.ports import EngineCall, EngineChunk, NonFinite
from inference_svc.domain.residency import AdapterKey
from inference_svc.engine.contract_plugin import CONTRACT_DIR_VARIABLE, FINITE_VARIABLE, contract_regex
from inference_svc.engine.finite_scheduler import NON_FINITE
from shared.base_model import BaseModel
from shared.errors import DomainError, InternalFault, StateConflict, Unavailable

_STREAM_INTERVAL_TOKENS = 8
"""94 % of raw throughput; every token 88 %, and a client cannot read faster anyway."""
_HEALTH_SECONDS = 1.0
_PLUGINS = ("goldsmith_contract", "goldsmith_lora")


@dataclass(frozen=True)
class EngineSettings:
    """What the engine is built with; see `inference_svc.config.Settings`."""

    base_model_dir: Path
    contract_dir: Path
    id_file: Path
    context_tokens: int
    threads: int
    max_lora_rank: int
    batch_adapters: int
    resident_adapters: int
    running_requests: int
    kv_cache_gib: int
    dtype: str = "auto"
    """Of weights and arithmetic: bfloat16, float32, or what is fast here (`native_dtype`)."""
    grouped_lora: bool = True
    """Our LoRA kernel on CPU; False is vLLM's own, to measure against."""
    kv_cache_blocks: int | None = None
    """Blocks of the KV cache, where a small one is to be measured; None is as many as the memory holds."""
    finite_guard: bool = True
    """Requests that compute NaN or infinity end, and leave nothing of it; False as vLLM does, to measure against."""


class VllmEngine:
    """Implements `MortalEngine`. vLLM is imported by `start`, not before."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._engine: Any = None  # vllm's AsyncLLM, which ships no types
        self._ledger: Any = None  # AdapterLedger, which imports vLLM
        self._adding = asyncio.Lock()
        self._removals: set[asyncio.Task[None]] = set()
        self._dead = asyncio.Event()
        self._building: asyncio.Task[Any] | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Starts vLLM's processes and waits for them; twenty seconds to half a minute on CPU. Holds no adapter then.

        May be called again after `stop`. Raises `Unavailable` when vLLM does not start.
        """
        self._set_environment()
        self._settings.contract_dir.mkdir(parents=True, exist_ok=True)
        # Off the loop, which answers health checks meanwhile.
        self._building = asyncio.create_task(asyncio.to_thread(self._build))
        try:
            self._engine = await asyncio.shield(self._building)
        except Exception as err:
            raise Unavailable("NOT_SERVING", f"the engine does not start: {err}") from err
        from inference_svc.engine.adapter_ledger import AdapterLedger

        self._dead.clear()
        self._ledger = AdapterLedger(self._settings.id_file)
        self._watch = asyncio.create_task(self._watch_health())

    def _set_environment(self) -> None:
        """What vLLM reads from the environment, in this process and those it starts."""
        own = {
            CONTRACT_DIR_VARIABLE: str(self._settings.contract_dir),
            FINITE_VARIABLE: str(int(self._settings.finite_guard)),
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_CPU_KVCACHE_SPACE": str(self._settings.kv_cache_gib),
            # vLLM would bind its threads to cores that the front end and the trainer use too.
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "OMP_NUM_THREADS": str(self._settings.threads),
            "OMP_WAIT_POLICY": "PASSIVE",
            # As vLLM does on CPUs. A forked process takes our plugins for loaded, and would not watch its parent.
            "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
            # The guard against what is not finite is for this runner, which every CPU has.
            "VLLM_USE_V2_MODEL_RUNNER": "0",
            "VLLM_PLUGINS": "goldsmith_contract,goldsmith_lora"
            if self._settings.grouped_lora
            else "goldsmith_contract",
        }
        os.environ.update(own)
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")

    def _build(self) -> Any:  # AsyncLLM
        from vllm.config import StructuredOutputsConfig
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.platforms import current_platform
        from vllm.v1.engine.async_llm import AsyncLLM

        from inference_svc.engine.native_dtype import native_dtype
        from inference_svc.engine.one_process import OneProcess

        settings = self._settings
        arguments = AsyncEngineArgs(
            model=str(settings.base_model_dir),
            dtype=native_dtype() if settings.dtype == "auto" else settings.dtype,  # type: ignore[arg-type]  # checked
            max_model_len=settings.context_tokens,
            max_num_seqs=settings.running_requests,
            distributed_executor_backend=OneProcess if current_platform.is_cpu() else None,
            enable_lora=True,
            # No others pass the validator, and stock operations for embeddings and logits run in every step.
            lora_target_modules=list(BaseModel.load(settings.base_model_dir).architecture.target_modules),
            max_lora_rank=settings.max_lora_rank,  # type: ignore[arg-type]  # vLLM refuses other ranks itself
            max_loras=settings.batch_adapters,
            max_cpu_loras=max(settings.resident_adapters, settings.batch_adapters),
            num_gpu_blocks_override=settings.kv_cache_blocks,
            enable_prefix_caching=True,
            # One name for the life of the engine: "auto" picks by request and compiles with whichever came first.
            structured_outputs_config=StructuredOutputsConfig(backend="outlines"),
            # Inductor gains nothing on models of this size and costs minutes at start.
            enforce_eager=True,
            disable_log_stats=True,
            # The scheduler hears of a poisoned request before it plans the next step; CPUs have no other way anyhow.
            async_scheduling=False,
        )
        return AsyncLLM.from_engine_args(arguments)

    async def add_adapter(self, key: AdapterKey) -> None:
        """Takes an adapter up. One at a time: each load stops decoding for a few milliseconds."""
        from vllm.v1.engine.exceptions import EngineDeadError

        async with self._adding:
            if self._ledger.held(key) is not None:
                return
            self.check()
            request = await asyncio.to_thread(self._ledger.issue, key)  # which waits for the disk
            try:
                await self._unless_dead(self._engine.add_lora(request))
            except (EngineDeadError, Unavailable) as err:  # which says nothing about the adapter
                raise self._died() from err
            except asyncio.CancelledError:
                # The engine has the order, takes orders in turn, and would keep an adapter that nobody knows.
                removal = asyncio.create_task(self._remove(request.lora_int_id))
                self._removals.add(removal)
                removal.add_done_callback(self._removals.discard)
                raise
            except Exception as err:
                # A failed load may have registered half an adapter under its id, which a retry would then serve.
                await self._remove(request.lora_int_id)
                raise StateConflict("ADAPTER_REJECTED", f"the engine refuses the adapter: {_first_line(err)}") from err
            self._ledger.keep(key, request)

    async def remove_adapter(self, key: AdapterKey) -> None:
        """Forgets an adapter."""
        request = self._ledger.release(key) if self._engine is not None else None
        if request is not None:
            await self._remove(request.lora_int_id)

    async def _remove(self, adapter_id: int) -> None:
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            await self._unless_dead(self._engine.remove_lora(adapter_id))
        except (EngineDeadError, Unavailable):
            self._dead.set()

    async def _unless_dead(self, call: Coroutine[Any, Any, object]) -> None:
        """Waits for a call to the engine, which vLLM leaves unanswered when its process dies meanwhile."""
        answer, death = asyncio.ensure_future(call), asyncio.ensure_future(self._dead.wait())
        try:
            await asyncio.wait({answer, death}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise self._died()
            answer.result()
        finally:
            answer.cancel()
            death.cancel()

    async def generate(self, call: EngineCall) -> AsyncGenerator[EngineChunk]:
        """Chunks of one answer; closing the iterator aborts the request in the engine."""
        from vllm.v1.engine.exceptions import EngineDeadError

        self.check()
        lora = None
        if call.adapter is not None:
            lora = self._ledger.held(call.adapter)
            if lora is None:
                raise InternalFault("INTERNAL", f"adapter {call.adapter.name} is not in the engine")
        prompt = {"prompt_token_ids": list(call.prompt_ids), "cache_salt": call.tenant}
        outputs = self._engine.generate(prompt, _sampling(call), call.request_id, lora_request=lora)
        try:
            async for output in outputs:
                completion = output.outputs[0]
                if completion.stop_reason == NON_FINITE:
                    raise NonFinite(call.request_id)
                if output.finished and completion.finish_reason not in ("stop", "length"):
                    raise InternalFault("INTERNAL", f"the engine ended the request: {completion.finish_reason}")
                yield EngineChunk(tuple(completion.token_ids), output.num_cached_tokens or 0, output.finished)
        except EngineDeadError as err:
            raise self._died() from err
        finally:
            await outputs.aclose()

    async def poisoned_blocks(self) -> int:
        """Blocks of the KV cache that hold NaN or infinity; the engine does nothing else while it looks."""
        from inference_svc.engine.finite_worker import AUDIT

        return sum(await self._engine.collective_rpc(AUDIT))

    def condemn(self) -> None:
        """Declares the engine dead although its processes run."""
        self._dead.set()

    def check(self) -> None:
        """Raises `Unavailable` (NOT_SERVING) when the engine is dead or not started."""
        if self._engine is None or self._dead.is_set():
            raise Unavailable("NOT_SERVING", "the engine does not run")

    def _died(self) -> Unavailable:
        self._dead.set()
        return Unavailable("NOT_SERVING", "the engine died")

    async def failed(self) -> None:
        """Returns when the engine is dead; `stop` and `start` bring it back."""
        await self._dead.wait()

    async def stop(self) -> None:
        """Ends vLLM's processes."""
        if self._watch is not None:
            self._watch.cancel()
        if self._building is not None and not self._building.done():
            with suppress(Exception):  # whoever started it was told
                self._engine = await self._building
        if self._engine is not None:
            from vllm.v1.engine.exceptions import EngineDeadError

            # Its own way of telling running requests is cut off by the shutdown, and they would wait for ever.
            self._engine.output_processor.propagate_error(EngineDeadError())
            self._engine.shutdown()
            self._engine = None

    async def _watch_health(self) -> None:
        """Notices a dead engine even while no request runs."""
        engine = self._engine
        while not engine.errored:  # noqa: ASYNC110  # vLLM offers no event for it
            await asyncio.sleep(_HEALTH_SECONDS)
        self._dead.set()


def _sampling(call: EngineCall) -> Any:  # SamplingParams
    """Only what cannot break a contract: no stop strings, no bias, no ignored end."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    return SamplingParams(
        temperature=call.sampling.temperature,
        top_p=call.sampling.top_p,
        seed=call.sampling.seed,
        max_tokens=call.max_tokens,
        detokenize=False,
        # Whatever the interval, vLLM hands over the first token at once; one that no answer reaches leaves the rest for
        # the end. FINAL_ONLY tells nothing before that, unless with vLLM's statistics on: 0.28 ms of the front end's
        # processor time for an answer of 64 tokens, where this takes 0.01 to 0.03 ms.
        output_kind=RequestOutputKind.DELTA,
        stream_interval=_STREAM_INTERVAL_TOKENS if call.stream else call.max_tokens,
        structured_outputs=StructuredOutputsParams(regex=contract_regex(call.contract_digest)),
        skip_clone=True,
    )


def _first_line(error: Exception) -> str:
    return (
        error.message
        if isinstance(error, DomainError)
        else str(error).splitlines()[0][:300]
        if str(error)
        else repr(error)
    )
