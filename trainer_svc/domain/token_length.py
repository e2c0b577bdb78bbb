"""How long golden examples are in tokens of the base model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantiles:
    """Lengths in tokens that 50, 95, 99 and 100 % of the rows do not exceed; each is the length of some row."""

    p50: int
    p95: int
    p99: int
    max: int


@dataclass(frozen=True)
class TokenLengths:
    """Lengths of all rows that keep their contract, those over the context too: nothing is cut before it is counted."""

    prompt: Quantiles
    """The input in its prompt template."""
    completion: Quantiles
    """The output with the stop token."""
    total: Quantiles
    context_tokens: int
    """What prompt and completion may take together."""
    instruction_tokens: int
    """What the instruction prompt adds to every request, and an adapter saves; 0 without one."""
    row_count: int
    """Rows that were measured."""
    token_count: int
    """Tokens of all of them."""
    train_token_count: int
    """Those of the rows that are trained on: one epoch."""
    longest_train_tokens: int
    """The longest row that is trained on."""
    learned_token_count: int
    """Those of them that are learned: outputs and stop tokens."""
    train_lengths: tuple[int, ...] = ()
    """Those of the rows that are trained on, ascending, or evenly spaced among them where there are many; empty where
    an earlier release measured."""
    base_model_digest: str = ""
    """Of the base model whose tokens they are; empty where an earlier release measured."""
