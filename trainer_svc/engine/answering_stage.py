"""Has the prompt sets of an evaluation answered: by vLLM, which proves at once that the adapter serves, or without it.

No model may be held meanwhile: an engine brings its own.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence

from shared.adapter.manifest import AdapterManifest
from trainer_svc.domain.run import RunFolder
from trainer_svc.domain.servability import ServabilityMode
from trainer_svc.engine.memo import Memo
from trainer_svc.engine.packaging import write_draft
from trainer_svc.engine.preparation import Prepared
from trainer_svc.engine.prompt_set import PromptSet
from trainer_svc.engine.served import Server
from trainer_svc.engine.transformers_answers import answer_all
from trainer_svc.engine.usage import Stopwatch
from trainer_svc.engine.vllm_process import show_to_vllm


def answer_prompt_sets(
    ready: Prepared, folder: RunFolder, server: Server, draft: AdapterManifest, prompt_sets: Sequence[PromptSet],
    stopwatch: Stopwatch, look: Callable[[], None],
) -> None:  # fmt: skip
    """Leaves the answers in the run's `Memo`. `look` is called now and then, and may raise.

    Raises:
        StateConflict: ADAPTER_REJECTED, vLLM refuses the adapter of the folder, which `draft` tells of.
        Unavailable, ProcessFailed, MemoryError, OSError: as `show_to_vllm`.
    """
    memo = Memo(folder.evaluations)
    if ready.spec.servability_proof is ServabilityMode.VLLM:
        answering = _by_vllm(ready, folder, draft, prompt_sets, stopwatch, look)
    else:
        model = server.load(folder.adapter)
        began = time.monotonic()
        answer_all(server, model, folder.adapter, prompt_sets, memo, look)
        answering = time.monotonic() - began
    stopwatch.answered(answering, sum(len(answer) for asked in prompt_sets for answer in memo.answers(asked.name)))


def _by_vllm(
    ready: Prepared, folder: RunFolder, draft: AdapterManifest, prompt_sets: Sequence[PromptSet],
    stopwatch: Stopwatch, look: Callable[[], None],
) -> float:  # fmt: skip
    """Seconds that the answers took; what its process took besides counts as the proof."""
    began = time.monotonic()
    package = write_draft(folder, draft)
    try:
        proof = show_to_vllm(package, ready.spec, folder, look, prompt_sets)
    finally:
        shutil.rmtree(package, ignore_errors=True)  # the sweep comes by, too
    stopwatch.proved(time.monotonic() - began - proof.answering_seconds)
    return proof.answering_seconds
