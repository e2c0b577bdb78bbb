"""One request and its answer, in the domain's own terms."""

from __future__ import annotations

from dataclasses import dataclass, replace

from inference_svc.domain.canary_choice import CanaryChoice
from inference_svc.domain.lane import Lane
from shared.contracts.report import Guarantee
from shared.contracts.spec import ContractKind

RETRY_TEMPERATURE = 0.5
"""Of later attempts where greedy was asked for: the same greedy answer again would break the same keyword again."""


@dataclass(frozen=True)
class Sampling:
    """How to choose tokens; nothing here can break a contract."""

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    max_output_tokens: int | None = None

    def of_attempt(self, number: int) -> Sampling:
        """How attempt `number`, counted from 1, samples: the first as asked, each later one so that it can differ.

        The temperature is kept unless it is 0. What was reproducible (a seed, or temperature 0) stays so: the seed of
        attempt n is the seed, or 0, plus n - 1. Without a seed the engine draws one anew.
        """
        if number == 1:
            return self
        if self.temperature == 0:
            return replace(self, temperature=RETRY_TEMPERATURE, seed=(self.seed or 0) + number - 1)
        return self if self.seed is None else replace(self, seed=self.seed + number - 1)


@dataclass(frozen=True)
class Question:
    """What a caller asks. `kind` is None where any kind of contract will do (Generate, GenerateStream)."""

    adapter: str
    input: str
    instructions: str
    contract: str
    kind: ContractKind | None
    sampling: Sampling
    deadline_seconds: float
    lane: Lane = Lane.INTERACTIVE
    canary: CanaryChoice = CanaryChoice.DRAWN

    @property
    def tenant(self) -> str:
        """Whom the adapter or the contract is of, by its name; empty where that is malformed."""
        return (self.adapter or self.contract).partition("/")[2].partition("/")[0]


@dataclass(frozen=True)
class Usage:
    """Token counts, all attempts together."""

    prompt_tokens: int
    cached_prompt_tokens: int
    output_tokens: int
    instruction_tokens_saved: int


@dataclass(frozen=True)
class Timing:
    """Where the time went, in seconds, all attempts together; the first token is that of the first attempt."""

    queue: float
    first_token: float
    engine: float
    check: float
    total: float


@dataclass(frozen=True)
class Answer:
    """A complete text that passed every check."""

    text: str
    revision: str
    digest: str
    contract: str
    kind: ContractKind
    guarantee: Guarantee
    usage: Usage
    timing: Timing
    budget_bound_steps: int
    """Of the attempt that is the answer."""
    attempt_count: int
