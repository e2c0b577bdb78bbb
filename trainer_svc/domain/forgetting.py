"""What an adapter did to the base model outside its task: told, and no bar by itself, since adapters are routed."""

from __future__ import annotations

from dataclasses import dataclass

from trainer_svc.domain.measure import Measure


@dataclass(frozen=True)
class BenchmarkScore:
    """Exact answers to one of the operator's benchmark files, 0..1."""

    name: str
    row_count: int
    base: Measure
    adapter: Measure


@dataclass(frozen=True)
class Forgetting:
    """The base with the adapter, against the base alone.

    Losses are means per token of general English text, in nats. PEFT's comparison of methods has good LoRA adapters of
    a 3 B base at an increase of 0.03 to 0.06, bad ones above 0.11 (huggingface/peft, method_comparison/MetaMathQA).
    """

    base_cross_entropy: float
    cross_entropy: float
    kl_divergence: float
    """Of the next token's distribution, KL(base || adapter), on the same text: the most sensitive of these."""
    text_token_count: int
    leaked_format_rate: Measure | None
    """Share of questions that have nothing to do with the task, answered freely, whose answer begins as the tenant's
    format does; None where the contract has no form of its own."""
    base_leaked_format_rate: Measure | None
    """The same of the base alone."""
    benchmarks: tuple[BenchmarkScore, ...] = ()

    @property
    def cross_entropy_increase(self) -> float:
        """In nats per token; negative where the adapter fits the text better."""
        return self.cross_entropy - self.base_cross_entropy
