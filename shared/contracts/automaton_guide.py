"""Walks a token automaton for one answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.contracts.automaton import TokenAutomaton


class AutomatonGuide:
    """A `Guide` over a token automaton: every question is a look at one of its rows."""

    def __init__(self, automaton: TokenAutomaton) -> None:
        self._automaton = automaton
        self._states = [automaton.start]  # one entry a token, so that tokens can be taken back
        self._is_finished = False

    def mask(self, remaining: int) -> NDArray[np.int32]:
        """See `Guide`."""
        if self._is_finished:
            return self._automaton.stop_mask
        return self._automaton.mask(self._states[-1], remaining)

    def advance(self, token: int) -> bool:
        """See `Guide`."""
        if self._is_finished:
            return False
        if token == self._automaton.eos_id:
            self._is_finished = self._automaton.is_accepting(self._states[-1])
            return self._is_finished
        following = self._automaton.next(self._states[-1], token)
        if following is None:
            return False
        self._states.append(following)
        return True

    def rollback(self, count: int) -> None:
        """See `Guide`."""
        if self._is_finished and count:
            self._is_finished, count = False, count - 1
        if count:
            del self._states[-count:]

    def is_accepting(self) -> bool:
        """See `Guide`."""
        return self._automaton.is_accepting(self._states[-1])

    def is_finished(self) -> bool:
        """See `Guide`."""
        return self._is_finished

    def distance(self) -> int:
        """See `Guide`."""
        return 0 if self._is_finished else self._automaton.distance(self._states[-1])

    def is_binding(self, remaining: int) -> bool:
        """See `Guide`; exact here."""
        return not self._is_finished and self._automaton.is_binding(self._states[-1], remaining)
