"""One request's walk over its contract's automaton, in the form vLLM asks for."""

from __future__ import annotations

import torch
from vllm.v1.structured_output.backend_types import StructuredOutputGrammar

from shared.contracts.automaton import TokenAutomaton


class ContractGrammar(StructuredOutputGrammar):
    """Masks tokens so that the output is valid and complete within its budget, whoever samples.

    `budget` counts output tokens, the stop token included, and is at least `automaton.min_tokens`.
    """

    def __init__(self, automaton: TokenAutomaton, budget: int) -> None:
        assert budget >= automaton.min_tokens, (budget, automaton.min_tokens)
        self._automaton, self._budget = automaton, budget
        self._states = [automaton.start]  # one entry a token, so that speculative tokens can be taken back
        self._done = False

    def accept_tokens(self, request_id: str, tokens: list[int]) -> bool:
        """Goes on by `tokens`; False, and no step taken past it, at the first that the contract does not allow."""
        for token in tokens:
            if self._done:
                return True  # vLLM may schedule one step past the end; its tokens are dropped
            if not self._accept(token):
                return False
        return True

    def _accept(self, token: int) -> bool:
        state = self._states[-1]
        if token == self._automaton.eos_id:
            self._done = self._automaton.is_accepting(state)
            return self._done
        following = self._automaton.next(state, token)
        if following is None:
            return False
        self._states.append(following)
        return True

    def validate_tokens(self, tokens: list[int]) -> list[int]:
        """The longest prefix that could be accepted; nothing changes."""
        state = self._states[-1]
        kept: list[int] = []
        for token in tokens if not self._done else ():
            remaining = self._budget - len(self._states) + 1 - len(kept)
            if token not in self._automaton.allowed(state, remaining):
                break
            kept.append(token)
            following = self._automaton.next(state, token)
            if following is None:
                break
            state = following
        return kept

    def rollback(self, num_tokens: int) -> None:
        """Takes the last accepted tokens back."""
        if self._done and num_tokens:
            self._done, num_tokens = False, num_tokens - 1
        if num_tokens:
            del self._states[-num_tokens:]

    def fill_bitmask(self, bitmask: torch.Tensor, idx: int) -> None:
        """Writes the allowed tokens into row `idx`; after the end only the stop token is."""
        row = bitmask[idx].numpy()
        remaining = self._budget - (len(self._states) - 1)
        mask = self._automaton.mask(self._states[-1], remaining)
        row[:] = 0
        row[: len(mask)] = mask

    def is_terminated(self) -> bool:
        """Whether the stop token was accepted."""
        return self._done

    def reset(self) -> None:
        """Back to the beginning."""
        del self._states[1:]
        self._done = False
