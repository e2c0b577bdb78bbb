"""Walks a grammar for one answer: llguidance's mask, narrowed to what can still end in time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.contracts.automaton import pack
from shared.contracts.grammar.parser import Parser
from shared.contracts.grammar.tracker import State
from shared.contracts.grammar_machine import GrammarMachine

_Plan = tuple[int, ...] | None


class GrammarGuide:
    """A `Guide` over a grammar.

    Our own tracker decides what is valid; the parser only offers tokens. `_plans[-1]` ends the answer from here: it is
    kept along when its first token is taken, so that an answer that follows it needs no token more than it says.
    """

    def __init__(self, machine: GrammarMachine) -> None:
        self._machine, self._planner = machine, machine.planner
        self._states: list[State] = [self._planner.tracker.start]
        self._plans: list[_Plan] = [None]
        self._tokens: list[int] = []
        self._parser: Parser | None = None
        self._parsed = 0
        self._is_finished = False

    def mask(self, remaining: int) -> NDArray[np.int32]:
        """See `Guide`."""
        vocabulary = self._machine.table.vocabulary
        if self._is_finished:
            return pack(np.array([vocabulary.eos_id], dtype=np.int32), vocabulary.size)
        return self._machine.masker.mask(self._states[-1], self._offered(), remaining, self._plan)

    def advance(self, token: int) -> bool:
        """See `Guide`."""
        if self._is_finished:
            return False
        state = self._states[-1]
        if token == self._machine.table.vocabulary.eos_id:
            self._is_finished = state.is_accepting
            return self._is_finished
        following = self._machine.masker.after(state, token)
        if following is None:
            return False
        plan = self._plans[-1]
        self._states.append(following)
        self._plans.append(plan[1:] if plan and plan[0] == token else None)
        self._tokens.append(token)
        return True

    def rollback(self, count: int) -> None:
        """See `Guide`."""
        if self._is_finished and count:
            self._is_finished, count = False, count - 1
        if count:
            del self._states[-count:], self._plans[-count:], self._tokens[-count:]
            if self._parser is not None and self._parsed > len(self._tokens):
                self._parser.rollback(self._parsed - len(self._tokens))
                self._parsed = len(self._tokens)

    def is_accepting(self) -> bool:
        """See `Guide`."""
        return self._states[-1].is_accepting

    def is_finished(self) -> bool:
        """See `Guide`."""
        return self._is_finished

    def distance(self) -> int:
        """See `Guide`; a few tokens more than the fewest where parts could share a token."""
        if self._is_finished:
            return 0
        cost, plan = self._planner.cost(self._states[-1]), self._plan()
        return cost if plan is None else min(cost, len(plan) + 1)

    def is_binding(self, remaining: int) -> bool:
        """See `Guide`."""
        return not self._is_finished and self._machine.masker.is_binding(self._states[-1], remaining)

    def _plan(self) -> _Plan:
        """Tokens that end the answer, without the stop token: the shorter of the one followed so far and a new one."""
        known = self._plans[-1]
        if known is None:
            self._plans[-1] = known = self._planner.plan(self._states[-1])
        return known

    def _offered(self) -> NDArray[np.int32] | None:
        """The parser's mask; it is brought up to date only here, so that a replay needs none."""
        if self._parser is None:
            self._parser = self._machine.new_parser()
        for token in self._tokens[self._parsed :]:
            self._parser.advance(token)
        self._parsed = len(self._tokens)
        words = self._parser.mask()
        if words is None or not _is_single(words):
            return words
        forced = self._parser.forced()
        return words if not forced else words | self._spellings(forced)

    def _spellings(self, forced: bytes) -> NDArray[np.int32]:
        """Every token that goes on with a text without alternative: its own tokenizer decides how a model writes it.

        llguidance takes ours for the model's, and offers only the tokens that ours would use.
        """
        table, state = self._machine.table, self._states[-1]
        inside = (table.by_bytes.get(forced[:size]) for size in range(1, len(forced) + 1))
        beyond = (token for token in table.starting(forced).tolist() if self._machine.masker.after(state, token))
        tokens = {token for token in (*inside, *beyond) if token is not None}
        return pack(np.array(sorted(tokens), dtype=np.int32), table.vocabulary.size)


def _is_single(words: NDArray[np.int32]) -> bool:
    """Whether a mask holds one token."""
    (places,) = np.nonzero(words)
    if len(places) != 1:
        return False
    word = int(words[places[0]]) & 0xFFFFFFFF
    return word & (word - 1) == 0
