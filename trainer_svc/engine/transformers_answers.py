"""Prompt sets answered by transformers, where vLLM is not to be asked: the answers differ by ties of logits at most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from trainer_svc.engine.export import serving
from trainer_svc.engine.memo import Memo
from trainer_svc.engine.prompt_set import PromptSet
from trainer_svc.engine.served import Server


def answer_all(
    server: Server, model: Any, adapter: Path, prompt_sets: Sequence[PromptSet], memo: Memo, look: Callable[[], None]
) -> None:
    """Keeps the answers that are not yet there. `model` is a PEFT model with the adapter of that folder.

    `look` is called after each set. Raises what it raises, and the server's stop.
    """
    for asked in prompt_sets:
        if not memo.has_answers(asked.name):
            with _using(model, adapter, asked):
                memo.keep_answers(asked.name, server.answer_set(model, asked))
            look()


def _using(model: Any, adapter: Path, asked: PromptSet) -> AbstractContextManager[None]:
    if not asked.adapter:
        found: AbstractContextManager[None] = model.disable_adapter()
        return found
    return nullcontext() if Path(asked.adapter) == adapter else serving(model, Path(asked.adapter), "asked")
