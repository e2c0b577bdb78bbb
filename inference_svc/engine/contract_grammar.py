"""One request's walk under its contract, in the form vLLM asks for."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from vllm.v1.structured_output.backend_types import StructuredOutputGrammar

from shared.contracts.compiled import CompiledContract


class ContractGrammar(StructuredOutputGrammar):
    """Masks tokens so that the output is valid and complete within its budget, whoever samples.

    `budget` counts output tokens, the stop token included, and is at least `contract.min_tokens`.
    """

    def __init__(self, contract: CompiledContract, budget: int) -> None:
        assert budget >= contract.min_tokens, (budget, contract.min_tokens)
        self._contract, self._budget = contract, budget
        self._guide, self._count = contract.guide(), 0
        # Whatever is made when it is first needed is made here, off the scheduler's thread.
        self._guide.mask(budget)

    def accept_tokens(self, request_id: str, tokens: list[int]) -> bool:
        """Goes on by `tokens`; False, and no step taken past it, at the first that the contract does not allow."""
        for token in tokens:
            if self._guide.is_finished():
                return True  # vLLM may schedule one step past the end; its tokens are dropped
            if not self._guide.advance(token):
                return False
            self._count += 1
        return True

    def validate_tokens(self, tokens: list[int]) -> list[int]:
        """The longest prefix that could be accepted; nothing changes."""
        kept: list[int] = []
        for token in tokens:
            if self._guide.is_finished():
                break
            word = self._guide.mask(self._budget - self._count - len(kept))[token // 32]
            if not int(word) >> token % 32 & 1 or not self._guide.advance(token):
                break
            kept.append(token)
        self._guide.rollback(len(kept))
        return kept

    def rollback(self, num_tokens: int) -> None:
        """Takes the last accepted tokens back."""
        self._guide.rollback(num_tokens)
        self._count -= num_tokens

    def mask(self) -> NDArray[np.int32]:
        """Packed bits of the tokens allowed now; after the end only the stop token is."""
        return self._guide.mask(self._budget - self._count)

    def fill_bitmask(self, bitmask: torch.Tensor, idx: int) -> None:
        """Writes `mask` into row `idx`."""
        write_mask(bitmask[idx].numpy(), self.mask())

    def is_terminated(self) -> bool:
        """Whether the stop token was accepted."""
        return self._guide.is_finished()

    def reset(self) -> None:
        """Back to the beginning."""
        self._guide, self._count = self._contract.guide(), 0


def write_mask(row: NDArray[np.int32], mask: NDArray[np.int32]) -> None:
    """Fills a row that is as long as the mask, or longer: logits beyond the vocabulary are padding."""
    if len(row) == len(mask):
        row[:] = mask
    else:
        row[: len(mask)] = mask
        row[len(mask) :] = 0
