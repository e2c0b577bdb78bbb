"""What one request has done so far: its attempts, their tokens and where the time went."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from inference_svc.domain.generation import Timing, Usage


@dataclass
class Attempt:
    """One answer of the engine, as far as it has come. Times are of the monotonic clock, in seconds."""

    begin: float
    token_ids: list[int] = field(default_factory=list)
    cached_prompt_tokens: int = 0
    first_token: float = 0.0
    engine_end: float = 0.0
    check_end: float = 0.0
    text: str = ""
    budget_bound_steps: int = 0

    def take(self, token_ids: list[int], cached_prompt_tokens: int) -> None:
        """Notes a chunk of the engine's, at the moment it arrives."""
        self.first_token = self.first_token or time.monotonic()
        self.token_ids.extend(token_ids)
        self.cached_prompt_tokens = cached_prompt_tokens


@dataclass
class Progress:
    """One request from its arrival on; the names are empty until they are known to mean something."""

    deadline_seconds: float
    begin: float = field(default_factory=time.monotonic)
    tenant: str = ""
    adapter: str = ""
    """Id of the adapter; stays empty for the base model."""
    revision: str = ""
    contract: str = ""
    target_time: float = 0.0
    """When adapter and contract were ready."""
    prompt_tokens: int = 0
    """Of one attempt."""
    is_instructed: bool = True
    """Whether it sends what an adapter would make unnecessary: to the base model, or with instructions of its own."""
    instruction_tokens_saved: int = 0
    """By the request, however many attempts it takes."""
    output_millitokens_saved: int = 0
    """By the answer, in thousandths of tokens."""
    is_answered: bool = False
    attempts: list[Attempt] = field(default_factory=list)

    def next_attempt(self) -> Attempt:
        """A new attempt, which begins now."""
        self.attempts.append(Attempt(time.monotonic()))
        return self.attempts[-1]

    @property
    def output_tokens(self) -> int:
        """Tokens generated in all attempts, the stop tokens included."""
        return sum(len(attempt.token_ids) for attempt in self.attempts)

    @property
    def spent_tokens(self) -> int:
        """What the request has cost the engine until now: uncached prompt plus output of every attempt."""
        usage = self.usage()
        return usage.prompt_tokens - usage.cached_prompt_tokens + usage.output_tokens

    def usage(self) -> Usage:
        """Token counts of all attempts together: each one sent the whole prompt."""
        return Usage(
            prompt_tokens=self.prompt_tokens * len(self.attempts),
            cached_prompt_tokens=sum(attempt.cached_prompt_tokens for attempt in self.attempts),
            output_tokens=self.output_tokens,
            instruction_tokens_saved=self.instruction_tokens_saved,
        )

    def timing(self) -> Timing:
        """Where the time went until now; the first token is that of the first attempt."""
        first = self.attempts[0]
        return Timing(
            queue=first.begin - self.begin,
            first_token=first.first_token - first.begin,
            engine=sum(attempt.engine_end - attempt.begin for attempt in self.attempts),
            check=sum(attempt.check_end - attempt.engine_end for attempt in self.attempts),
            total=time.monotonic() - self.begin,
        )
