"""LoRA on CPU: the grouped kernel against vLLM's stock one, in two engines that take turns on one machine."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from inference_svc.engine.vllm_engine import VllmEngine
from shared.base_model import BaseModel
from tests.adapter_file import write_random_adapter
from tests.bench.contract import BASE
from tests.bench.engine import RUNNING, settings
from tests.bench.result import report
from tests.bench.undisturbed import Undisturbed

_TOKENS = 64
_ROUNDS = 7
_REPEATS = _ROUNDS
"""Of rounds that were disturbed."""
_ADAPTERS = 4
_SCALE = 0.02
"""Of the adapters' weights: large ones make logits so steep that a rounding shows as a whole unit."""
_PROMPT = [7 + index * 13 % 1900 for index in range(60)]


class _Side:
    """One engine in a process of its own; vLLM's plugins change the process that they are loaded in."""

    def __init__(self, folder: Path, *, grouped: bool) -> None:
        self._loop = asyncio.new_event_loop()
        base = BaseModel.load(BASE)
        # One thread, as the service starts its engine by itself.
        self._engine = VllmEngine(replace(settings(base, folder, threads=1), grouped_lora=grouped))
        self._keys = [write_random_adapter(base, folder / f"adapter-{seed}", seed, _SCALE) for seed in range(_ADAPTERS)]
        self._loop.run_until_complete(self._start())

    async def _start(self) -> None:
        await self._engine.start()
        for key in self._keys:
            await self._engine.add_adapter(key)

    def speed(self, adapters: int, label: str) -> float:
        """Tokens a second of a batch over so many adapters; 0 is the base model."""

        async def batch() -> int:
            places = [index % adapters if adapters else None for index in range(RUNNING)]
            answers = await asyncio.gather(
                *(self._ask(place, f"{label}-{index}", index) for index, place in enumerate(places))
            )
            return sum(len(answer.token_ids) for answer in answers)

        begin = time.perf_counter()
        return self._loop.run_until_complete(batch()) / (time.perf_counter() - begin)

    def logprobs(self) -> list[dict[int, float]]:
        """Of the first token after the prompt: its most likely ids, for each adapter."""

        async def ask() -> list[dict[int, float]]:
            answers = [await self._ask(adapter, f"logprobs-{adapter}", 0, logprobs=20) for adapter in range(_ADAPTERS)]
            return [{token: found.logprob for token, found in answer.logprobs[0].items()} for answer in answers]

        return self._loop.run_until_complete(ask())

    async def _ask(
        self, adapter: int | None, label: str, seed: int, logprobs: int | None = None
    ) -> Any:  # vLLM's output
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        sampling = SamplingParams(
            temperature=1.0, seed=seed, max_tokens=1 if logprobs else _TOKENS, ignore_eos=True, detokenize=False,
            logprobs=logprobs, output_kind=RequestOutputKind.FINAL_ONLY,
        )  # fmt: skip
        lora = None if adapter is None else self._engine._ledger.held(self._keys[adapter])
        prompt = {"prompt_token_ids": _PROMPT}
        async for output in self._engine._engine.generate(prompt, sampling, label, lora_request=lora):
            last = output
        return last.outputs[0]

    def stop(self) -> None:
        """Ends the engine."""
        self._loop.run_until_complete(self._engine.stop())


_side: list[_Side] = []


def _start(folder: Path, grouped: bool) -> None:
    _side.append(_Side(folder, grouped=grouped))


def _do(method: str, *arguments: object) -> Any:  # what the method returns
    return getattr(_side[0], method)(*arguments)


def main() -> None:
    """Prints the figures and writes build/bench/lora_kernel.json."""
    report("lora_kernel", measure())


def measure() -> dict[str, float | int | str]:
    """Both engines up at once, one idle while the other decodes: medians of ratios within a round."""
    with tempfile.TemporaryDirectory() as name, _process() as grouped, _process() as stock:
        for process, is_grouped in ((grouped, True), (stock, False)):
            folder = Path(name) / str(is_grouped)
            folder.mkdir()
            process.submit(_start, folder, is_grouped).result()
        rounds, undisturbed, labels = [], Undisturbed(_REPEATS), itertools.count()
        tasks = [(grouped, 0), (grouped, 1), (stock, 1), (grouped, 4), (stock, 4)]

        def one_round(number: int) -> dict[tuple[bool, int], float]:
            order = tasks if number % 2 else reversed(tasks)
            return {(process is grouped, many): _speed(process, many, labels) for process, many in order}

        for number in range(_ROUNDS + 1):
            found = undisturbed.run(partial(one_round, number))
            if number:  # the first one warms caches
                rounds.append(found)
        ours, theirs = (process.submit(_do, "logprobs").result() for process in (grouped, stock))
        for process in (grouped, stock):
            process.submit(_do, "stop").result()
    return {
        "grouped_vs_stock_1": statistics.median(found[True, 1] / found[False, 1] for found in rounds),
        "grouped_vs_stock_4": statistics.median(found[True, 4] / found[False, 4] for found in rounds),
        "adapter_vs_base": statistics.median(found[True, 1] / found[True, 0] for found in rounds),
        "four_adapters_vs_base": statistics.median(found[True, 4] / found[True, 0] for found in rounds),
        "lora_kernel_repeats": _REPEATS - undisturbed.repeats_left,
        "lora_kernel_worst_stolen_ratio": undisturbed.worst_stolen,
        "base_tokens_per_s": statistics.median(found[True, 0] for found in rounds),
        "logprob_difference": max(
            abs(value - other[token]) for one, other in zip(ours, theirs, strict=True)
            for token, value in one.items() if token in other
        ),
    }  # fmt: skip


def _speed(process: ProcessPoolExecutor, adapters: int, labels: Iterator[int]) -> float:
    found: float = process.submit(_do, "speed", adapters, str(next(labels))).result()
    return found


def _process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


if __name__ == "__main__":
    main()
