"""One request and its answer, in the domain's own terms."""

from __future__ import annotations

from dataclasses import dataclass

from shared.contracts.spec import ContractKind


@dataclass(frozen=True)
class Sampling:
    """How to choose tokens; nothing here can break a contract."""

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    max_output_tokens: int | None = None


@dataclass(frozen=True)
class Question:
    """What a caller asks. `kind` is None where any kind of contract will do (streams)."""

    adapter: str
    input: str
    instructions: str
    contract: str
    kind: ContractKind | None
    sampling: Sampling
    deadline_seconds: float


@dataclass(frozen=True)
class Usage:
    """Token counts."""

    prompt_tokens: int
    cached_prompt_tokens: int
    output_tokens: int
    instruction_tokens_saved: int


@dataclass(frozen=True)
class Timing:
    """Where the time went, in seconds."""

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
    usage: Usage
    timing: Timing
    budget_bound_steps: int
