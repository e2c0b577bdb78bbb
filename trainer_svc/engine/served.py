"""Answers of adapters as they are served: on a fresh base, greedily, under the contract; and freely, to compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.base_model import BaseModel
from shared.contracts.compiled import CompiledContract
from shared.prompt import PromptRenderer
from trainer_svc.domain.row_score import Generated
from trainer_svc.domain.run import DEFAULT_CONTEXT_TOKENS, ServedType, TrainingMode
from trainer_svc.engine.base import best_device, dtype_of, load_base
from trainer_svc.engine.decoding import Constrained, Decoding, Free
from trainer_svc.engine.export import load_served
from trainer_svc.engine.generation import DEFAULT_OUTPUT_TOKENS, generate
from trainer_svc.engine.preparation import Prepared
from trainer_svc.engine.prompt_set import PromptSet


@dataclass(frozen=True)
class Server:
    """What adapters of one run are answered with."""

    base: BaseModel
    renderer: PromptRenderer
    contract: CompiledContract
    stop_if_asked: Callable[[], None]
    """Called before each batch; may raise to stop."""
    served_type: ServedType = ServedType.AUTO
    served_context_tokens: int = DEFAULT_CONTEXT_TOKENS

    @classmethod
    def of_run(cls, ready: Prepared, stop_if_asked: Callable[[], None]) -> Server:
        """As the run's adapter will be served."""
        spec = ready.spec
        return cls(
            ready.base, ready.renderer, ready.contract, stop_if_asked, spec.served_type, spec.served_context_tokens
        )

    def load(self, adapter: Path) -> Any:  # a PEFT model
        """On a fresh base, never the one that is trained on: that one may be quantised."""
        base = load_base(self.base.folder, TrainingMode.LORA, dtype_of(self.served_type))
        return load_served(base.to(best_device()), adapter)

    def answer(
        self, model: Any, prompts: Sequence[Sequence[int]], output_tokens: int = DEFAULT_OUTPUT_TOKENS
    ) -> list[list[int]]:  # as above
        """Token ids of each prompt's answer under the contract, in the order of the prompts."""
        return self._generate(model, Constrained(self.contract), prompts, output_tokens)

    def answer_freely(
        self, model: Any, prompts: Sequence[Sequence[int]], output_tokens: int
    ) -> list[list[int]]:  # as above
        """The same without the contract."""
        return self._generate(model, Free(self.base.stop_ids), prompts, output_tokens)

    def answer_set(self, model: Any, asked: PromptSet) -> list[list[int]]:  # a PEFT model of the set's adapter
        """As the engine that serves would, but for ties of logits."""
        decoding = Constrained(self.contract) if asked.is_constrained else Free(self.base.stop_ids)
        return self._generate(model, decoding, asked.prompts, asked.output_tokens)

    def free_texts(self, model: Any, inputs: Sequence[str], output_tokens: int) -> list[str]:  # as above
        """Texts of free answers to inputs, without an instruction prompt."""
        prompts = [self.renderer.prompt_ids(text) for text in inputs]
        return [self.read(answer).text for answer in self.answer_freely(model, prompts, output_tokens)]

    def read(self, answer: Sequence[int]) -> Generated:
        """An answer as text. Of a free one what is no text, control tokens and halves of characters, is left out."""
        ended = bool(answer) and answer[-1] in self.base.stop_ids
        kept = answer[:-1] if ended else answer
        pieces = (self.renderer.token_bytes(token) or b"" for token in kept)
        return Generated(b"".join(pieces).decode(errors="replace"), len(kept), ended)

    def _generate(
        self, model: Any, decoding: Decoding, prompts: Sequence[Sequence[int]], output_tokens: int
    ) -> list[list[int]]:
        context = min(self.served_context_tokens, self.base.max_positions)
        return generate(model, decoding, prompts, context, self.stop_if_asked, output_tokens=output_tokens)
