"""Answers of an adapter as it is served: on a fresh base, under the contract, greedily."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.base_model import BaseModel
from shared.contracts.compiled import CompiledContract
from shared.prompt import PromptRenderer
from trainer_svc.domain.row_score import Generated
from trainer_svc.domain.run import TrainingMode
from trainer_svc.engine.base import best_device, load_base
from trainer_svc.engine.export import load_served
from trainer_svc.engine.generation import DEFAULT_OUTPUT_TOKENS, generate


@dataclass(frozen=True)
class Server:
    """What adapters of one run are answered with."""

    base: BaseModel
    contract: CompiledContract
    before_batch: Callable[[], None]
    """May raise to stop."""

    def load(self, adapter: Path) -> Any:  # a PEFT model
        """On a fresh base, never the one that is trained on: that one may be quantised."""
        return load_served(load_base(self.base.folder, TrainingMode.LORA).to(best_device()), adapter)

    def answer(
        self, model: Any, prompts: Sequence[Sequence[int]], output_tokens: int = DEFAULT_OUTPUT_TOKENS
    ) -> list[list[int]]:  # as above
        """Token ids of each prompt's answer, in the order of the prompts."""
        context = self.base.max_positions
        return generate(model, self.contract, prompts, context, self.before_batch, output_tokens=output_tokens)


def complete_answer(renderer: PromptRenderer, answer: Sequence[int]) -> Generated:
    """An answer under a contract as text: the stop token ends it, unless the prompt left no room for any."""
    return Generated(renderer.decode(answer), max(len(answer) - 1, 0), ended=bool(answer))
