"""Prompts whose answers an evaluation needs: asked of the engine that will serve, or of transformers in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.files import write_atomic
from trainer_svc.store.codec import dump, load


@dataclass(frozen=True)
class PromptSet:
    """Prompts that one model answers greedily."""

    name: str
    """Of the answers in the run's `Memo`."""
    adapter: str
    """Folder with weights and configuration as they are served; empty for the base alone."""
    prompts: tuple[tuple[int, ...], ...]
    """Token ids."""
    output_tokens: int
    """Most of an answer, unless the shortest one takes more."""
    is_constrained: bool = True
    """Under the contract; else freely, to see what was learned."""

    def budgets(self, min_tokens: int, context_tokens: int) -> list[int]:
        """Most tokens of each answer; 0 where the prompt leaves less room than the shortest answer takes.

        `min_tokens` is that of the shortest answer under the contract; of a free one it is the stop token alone.
        """
        least = min_tokens if self.is_constrained else 1
        rooms = (context_tokens - len(prompt) for prompt in self.prompts)
        return [min(max(self.output_tokens, least), room) if room >= least else 0 for room in rooms]


@dataclass(frozen=True)
class _File:
    sets: tuple[PromptSet, ...]


def write_prompt_sets(path: Path, sets: Sequence[PromptSet]) -> None:
    """Inverse of `read_prompt_sets`."""
    write_atomic(path, dump(_File(tuple(sets))).encode())


def read_prompt_sets(path: Path) -> tuple[PromptSet, ...]:
    """What the run wants to be answered; nothing where there is no such file."""
    return load(_File, path.read_text(encoding="utf-8")).sets if path.is_file() else ()
