"""What an evaluation looks at: states of the adapter, rows for each, and the prompts that must be answered."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.lazy import cached_property
from trainer_svc.domain.dataset import CheckedRow
from trainer_svc.domain.evaluation import MAX_CHECKPOINT_ROWS, MAX_HOLDOUT_ROWS, MAX_TRAIN_ROWS
from trainer_svc.domain.run import RunFolder
from trainer_svc.engine.generation import DEFAULT_OUTPUT_TOKENS
from trainer_svc.engine.live import LiveRevision, live_revision
from trainer_svc.engine.preparation import Prepared
from trainer_svc.engine.prompt_set import PromptSet
from trainer_svc.engine.validation import record_of


@dataclass(frozen=True)
class AdapterState:
    """The adapter after one step."""

    name: str
    """Of what is kept of it in the run's `Memo`."""
    step: int
    folder: Path
    rows: tuple[CheckedRow, ...]
    """Held-out rows that it answers."""
    is_published: bool = False


class EvaluationMaterial:
    """Of one run whose training is over."""

    def __init__(self, ready: Prepared, folder: RunFolder) -> None:
        self._ready, self._folder = ready, folder
        self.holdout = _sample(ready.holdout, MAX_HOLDOUT_ROWS)
        self.train = _sample(ready.train, MAX_TRAIN_ROWS)

    @cached_property
    def live(self) -> LiveRevision | None:
        """The revision that serves now, where it can answer these rows."""
        return live_revision(self._ready, self._folder)

    @cached_property
    def live_places(self) -> tuple[int, ...]:
        """Places of the held-out rows that the live revision was not trained on."""
        known = self.live.known if self.live else frozenset()
        return tuple(place for place, row in enumerate(self.holdout) if (row.input, row.output) not in known)

    @cached_property
    def published(self) -> AdapterState:
        """The state that is published: of the last step, unless validations chose another."""
        step = int(record_of(self._folder.adapter).get("best_step", self._ready.plan.step_count))
        return AdapterState("published", step, self._folder.adapter, self.holdout, is_published=True)

    @cached_property
    def states(self) -> tuple[AdapterState, ...]:
        """Those that were kept on the way, and the published one; by their steps."""
        rows, own = _sample(self.holdout, MAX_CHECKPOINT_ROWS), self.published
        places = ((step, self._folder.milestone(step)) for step in self._ready.plan.milestone_steps if step != own.step)
        kept = [
            AdapterState(f"step-{step}", step, place, rows)
            for step, place in places
            if place.is_dir()  # a run that stopped early never came to the others
        ]
        return tuple(sorted([*kept, own], key=lambda state: state.step))

    def prompt_sets(self) -> list[PromptSet]:
        """All prompts that must be answered; those of a state follow each other, so that it can be told of early."""
        sets = [
            *(one for state in self.states for one in self._of_state(state)),
            self._set(answers_of("train"), self._folder.adapter, self.train),
        ]
        if self.live is not None:
            rows = [self.holdout[place] for place in self.live_places]
            sets.append(self._set(answers_of(self.live.name), self.live.folder, rows))
        sets.append(self._of_base("bare", ""))
        if instructions := self._ready.spec.instruction_prompt:
            sets.append(self._of_base("base", instructions))
        return sets

    def _of_state(self, state: AdapterState) -> tuple[PromptSet, PromptSet]:
        return (
            self._set(answers_of(state.name), state.folder, state.rows),
            self._set(free_answers_of(state.name), state.folder, state.rows, free=True),
        )

    def _of_base(self, name: str, instructions: str) -> PromptSet:
        """Without adapter; without instructions the very prompts that the adapter gets."""
        prompts = tuple(tuple(self._ready.renderer.prompt_ids(row.input, instructions)) for row in self.holdout)
        # A small base goes on for as long as it may. What it saves to be short is not counted as saved.
        return PromptSet(answers_of(name), "", prompts, self._limit(self.holdout))

    def _set(self, name: str, adapter: Path, rows: Sequence[CheckedRow], *, free: bool = False) -> PromptSet:
        """As long as a caller who asks for nothing may have an answer, or the golden ones are."""
        limit = self._limit(rows) if free else max(DEFAULT_OUTPUT_TOKENS, self._longest(self.holdout) + 1)
        prompts = tuple(tuple(self._ready.renderer.prompt_ids(row.input)) for row in rows)
        return PromptSet(name, str(adapter), prompts, limit, is_constrained=not free)

    def _limit(self, rows: Sequence[CheckedRow]) -> int:
        """Twice the longest golden answer in tokens: room for what is wrong, and soon told from what has no end."""
        longest = self._longest(rows)
        return longest + min(longest, DEFAULT_OUTPUT_TOKENS)

    def _longest(self, rows: Sequence[CheckedRow]) -> int:
        """Of the golden answers, in tokens."""
        return max(len(self._ready.renderer.completion_ids(row.output)) for row in rows)


def answers_of(name: str) -> str:
    """Name of the answers under the contract."""
    return f"{name}.answers"


def free_answers_of(name: str) -> str:
    """Name of the answers without it."""
    return f"{name}.free"


def _sample(rows: Sequence[CheckedRow], count: int) -> tuple[CheckedRow, ...]:
    """Always the same of the same rows, in their order; neighbours in an upload are often alike."""
    places = sorted(random.Random(0).sample(range(len(rows)), min(count, len(rows))))
    return tuple(rows[place] for place in places)
