"""Has the prompt sets of an evaluation answered: by vLLM, which proves at once that the adapter serves, or without it.

No model may be held meanwhile: an engine brings its own.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence

from shared.adapter.manifest import AdapterManifest
from trainer_svc.domain.run import RunFolder
from trainer_svc.domain.servability import ServabilityMode
from trainer_svc.engine.memo import Memo
from trainer_svc.engine.packaging import write_draft
from trainer_svc.engine.preparation import Prepared
from trainer_svc.engine.prompt_set import PromptSet
from trainer_svc.engine.servability import show_to_vllm
from trainer_svc.engine.served import Server
from trainer_svc.engine.transformers_answers import answer_all
from trainer_svc.engine.usage import Stopwatch


def answer_prompt_sets(
    ready: Prepared, folder: RunFolder, server: Server, draft: AdapterManifest, prompt_sets: Sequence[PromptSet],
    stopwatch: Stopwatch,
) -> None:  # fmt: skip
    """Leaves the answers in the run's `Memo`.

    Raises:
        StateConflict: ADAPTER_REJECTED, vLLM refuses the adapter of the folder, which `draft` tells of.
        Unavailable, MemoryError, OSError: as `show_to_vllm`.
        Cancelled: the server's stop raised it.
    """
    memo = Memo(folder.evaluations)
    began = time.monotonic()
    proving = 0.0
    if ready.spec.servability_proof is ServabilityMode.VLLM:
        package = write_draft(folder, draft)
        proving = show_to_vllm(package, ready.spec, folder, server.stop_if_asked, prompt_sets)
        shutil.rmtree(package)
    else:
        answer_all(server, server.load(folder.adapter), folder.adapter, prompt_sets, memo)
    stopwatch.proved(proving)
    tokens = sum(len(answer) for asked in prompt_sets for answer in memo.answers(asked.name))
    stopwatch.answered(time.monotonic() - began - proving, tokens)
