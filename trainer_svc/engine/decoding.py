"""How the next token of an answer is chosen: under a contract, as it is served, or freely, to see what was learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shared.contracts.compiled import CompiledContract
from shared.contracts.guide import Guide


class Answering(Protocol):
    """An answer in the making."""

    @property
    def ids(self) -> list[int]:
        """Tokens so far, the stop token included."""

    @property
    def is_complete(self) -> bool:
        """Whether no token follows."""

    def extend(self, logits_V: np.ndarray[Any, Any]) -> int:  # tensor shapes in names
        """Appends a token and returns it."""


class Decoding(Protocol):
    """A way to choose tokens."""

    @property
    def min_tokens(self) -> int:
        """The shortest answer; a prompt that leaves less room gets none."""

    def begin(self, budget: int) -> Answering:
        """A new answer of at most `budget` tokens."""


@dataclass(frozen=True)
class Constrained:
    """The greedy answer among those that the contract and the budget allow, so it is always complete."""

    contract: CompiledContract

    @property
    def min_tokens(self) -> int:
        """The contract's minimum."""
        return self.contract.min_tokens

    def begin(self, budget: int) -> Answering:
        """An answer that keeps the contract."""
        return _Guided(self.contract.guide(), budget)


@dataclass(frozen=True)
class Free:
    """The greedy answer, which may be anything, and ends with a stop token or where the budget does."""

    stop_ids: Sequence[int]

    @property
    def min_tokens(self) -> int:
        """The stop token alone."""
        return 1

    def begin(self, budget: int) -> Answering:
        """An answer that keeps nothing."""
        return _Unguided(frozenset(self.stop_ids), budget)


def allowed_tokens(guide: Guide, remaining: int) -> NDArray[np.intp]:
    """Ids of the tokens that a guide allows with `remaining` tokens left, ascending."""
    return np.flatnonzero(np.unpackbits(guide.mask(remaining).view(np.uint8), bitorder="little"))


@dataclass
class _Guided:
    guide: Guide
    budget: int
    ids: list[int] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return self.guide.is_finished()

    def extend(self, logits_V: np.ndarray[Any, Any]) -> int:
        allowed = allowed_tokens(self.guide, self.budget - len(self.ids))
        token = int(allowed[np.argmax(logits_V[allowed])])
        self.ids.append(token)
        assert self.guide.advance(token), token
        return token


@dataclass
class _Unguided:
    stop_ids: frozenset[int]
    budget: int
    ids: list[int] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return len(self.ids) == self.budget or (bool(self.ids) and self.ids[-1] in self.stop_ids)

    def extend(self, logits_V: np.ndarray[Any, Any]) -> int:
        token = int(np.argmax(logits_V))
        self.ids.append(token)
        return token
