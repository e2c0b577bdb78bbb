"""Presets: what a job leaves open, chosen for time or for quality. Each says what it measured."""

from __future__ import annotations

from dataclasses import dataclass

from trainer_svc.domain.run import Preset


@dataclass(frozen=True)
class Recipe:
    """Settings of a preset; what a job sets itself is kept."""

    rank: int
    epochs: tuple[int, int]
    """Fewest and most passes over the train split."""
    seen_examples: int
    """Examples a run sees, within the passes above."""
    loraplus_ratio: float
    early_stopping_patience: int
    """0: off."""


RECIPES = {
    Preset.FAST: Recipe(16, (1, 3), 1_500, 4.0, 0),
    Preset.BALANCED: Recipe(16, (3, 10), 10_000, 1.0, 0),
    Preset.BEST: Recipe(32, (6, 20), 20_000, 4.0, 4),
}
