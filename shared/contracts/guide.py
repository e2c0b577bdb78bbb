"""One answer's walk under a contract: the same questions whichever engine holds the contract."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Guide(Protocol):
    """Says which token may come next, and follows the one that came.

    The guarantee: as long as `remaining >= distance()`, `mask(remaining)` is not empty, and after any token of it
    `distance() <= remaining - 1` holds. So from `remaining >= min_tokens` every choice of allowed tokens ends with the
    stop token in time, whoever chooses.
    """

    def mask(self, remaining: int) -> NDArray[np.int32]:
        """Packed bits of the tokens allowed with `remaining` tokens left, this one and the stop token included.

        `ceil(vocabulary_size / 32)` words; token `t` is bit `t % 32` of word `t // 32`. Not to be written to, and
        valid until the next call. After the stop token: only the stop token.
        """
        ...

    def advance(self, token: int) -> bool:
        """Goes on by a token, the stop token too; False, and nothing changes, when the contract does not allow it."""
        ...

    def rollback(self, count: int) -> None:
        """Takes the last `count` tokens back."""
        ...

    def is_accepting(self) -> bool:
        """Whether the answer may end here."""
        ...

    def is_finished(self) -> bool:
        """Whether the stop token was taken."""
        ...

    def distance(self) -> int:
        """Tokens that are enough to end from here, the stop token included."""
        ...

    def is_binding(self, remaining: int) -> bool:
        """Whether a budget of `remaining` may rule out a token that the contract alone would allow."""
        ...
