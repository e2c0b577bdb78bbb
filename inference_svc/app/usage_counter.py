"""Counts each request in the ledger, as one of those who measure."""

from __future__ import annotations

import time

from inference_svc.app.meter import OK, Observer
from inference_svc.app.progress import Progress
from inference_svc.domain.ledger import Ledger, UsageKey
from shared.clock import Clock
from shared.names import RevisionName
from shared.usage import MILLITOKENS, UsageCounts, hour_of


class UsageCounter(Observer):
    """A request belongs to the hour in which it ends.

    One that named nothing that exists, or ended before its adapter or contract was ready, cost nothing and is nobody's.
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock

    def request_ends(self, progress: Progress, outcome: str) -> None:
        """Counts what it was and what it cost; what it saved only if it was answered."""
        if not progress.tenant:
            return
        number = RevisionName.parse(progress.revision).number if progress.revision else 0
        key = UsageKey("", progress.tenant, progress.adapter, number, hour_of(self._clock.now()))
        self._ledger.count(key, _counts(progress, is_answered=outcome == OK))


def _counts(progress: Progress, *, is_answered: bool) -> UsageCounts:
    now, usage = time.monotonic(), progress.usage()
    engine_seconds = sum((attempt.engine_end or now) - attempt.begin for attempt in progress.attempts)
    saved, saved_milli = _saved(progress) if is_answered else (0, 0)
    return UsageCounts(
        answered_requests=int(is_answered),
        failed_requests=int(not is_answered),
        prompt_tokens=usage.prompt_tokens,
        cached_prompt_tokens=usage.cached_prompt_tokens,
        output_tokens=usage.output_tokens,
        saved_instruction_tokens=saved,
        saved_output_millitokens=saved_milli,
        latency_microseconds=round((now - progress.begin) * 1e6),
        engine_microseconds=round(engine_seconds * 1e6),
    )


def _saved(progress: Progress) -> tuple[int, int]:
    """Prompt tokens, and thousandths of output tokens, less those of the attempts that came to nothing.

    The base model that it is compared with is taken to answer at the first attempt.
    """
    if progress.is_instructed:
        return 0, 0
    futile = progress.attempts[:-1]
    generated = sum(len(attempt.token_ids) for attempt in futile)
    return (
        progress.instruction_tokens_saved - progress.prompt_tokens * len(futile),
        progress.output_millitokens_saved - MILLITOKENS * generated,
    )
