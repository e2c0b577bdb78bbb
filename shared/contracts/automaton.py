"""The token automaton: which token may come next, so that the answer is valid and ends within its budget."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.errors import DataLoss
from shared.lazy import cached_property

_MASK_CACHE_BYTES = 64 * 1024 * 1024
"""Ceiling of one automaton's cached masks: 16k states at a 32k vocabulary, all states at the shipped one."""

_ENOUGH = -1
"""Stands for every number of tokens that rules out nothing."""
_ARRAYS = ("header", "offsets", "tokens", "targets", "distances", "slacks", "accepting")


class _Rows(NamedTuple):
    offsets: memoryview[int]
    tokens: memoryview[int]
    targets: memoryview[int]
    slacks: memoryview[int]


@dataclass(frozen=True, eq=False)
class TokenAutomaton:
    """A deterministic automaton over tokens that knows the shortest way to the end from every state.

    Row `s` is `tokens[offsets[s]:offsets[s + 1]]` (ascending) with `targets` beside it; the stop token is in no row, it
    is allowed exactly in accepting states. `distances[s]` is the fewest tokens from `s` to the end, the stop token
    included, so an accepting state has 1. Every state reaches the end.

    The guarantee: with `remaining >= distance(state)`, `mask(state, remaining)` is never empty, and every token in it
    leads to a state with `distance <= remaining - 1`. So from `remaining >= min_tokens` every choice of allowed tokens
    ends with the stop token in time, whoever chooses. Formula: token `t` is allowed in `s` with `r` tokens left iff
    `distance(next(s, t)) <= r - 1`; the stop token iff `s` is accepting and `r >= 1`.
    """

    vocabulary_size: int
    eos_id: int
    start: int
    offsets: NDArray[np.int64]
    tokens: NDArray[np.int32]
    targets: NDArray[np.int32]
    distances: NDArray[np.int32]
    slacks: NDArray[np.int32]
    """Per state, the `remaining` from which the budget rules out nothing."""
    accepting: NDArray[np.bool_]
    _masks: OrderedDict[tuple[int, int], NDArray[np.int32]] = field(
        default_factory=OrderedDict, repr=False, compare=False
    )

    @property
    def state_count(self) -> int:
        """Number of states."""
        return len(self.accepting)

    @property
    def min_tokens(self) -> int:
        """Fewest tokens of a complete text, the stop token included."""
        return self.distance(self.start)

    @cached_property
    def stop_mask(self) -> NDArray[np.int32]:
        """Packed bits of the stop token alone."""
        return pack(np.array([self.eos_id], dtype=np.int32), self.vocabulary_size)

    def next(self, state: int, token: int) -> int | None:
        """The state after `token`, or None where it is not allowed (the stop token never leads to a state)."""
        rows = self._rows
        end = rows.offsets[state + 1]
        index = bisect_left(rows.tokens, token, rows.offsets[state], end)
        return rows.targets[index] if index < end and rows.tokens[index] == token else None

    def is_accepting(self, state: int) -> bool:
        """Whether the text may end here."""
        return bool(self.accepting[state])

    def distance(self, state: int) -> int:
        """Fewest tokens from `state` to the end, the stop token included."""
        return int(self.distances[state])

    def is_binding(self, state: int, remaining: int) -> bool:
        """Whether a budget of `remaining` rules out a token that the contract alone would allow."""
        return remaining < self._rows.slacks[state]

    @cached_property
    def _rows(self) -> _Rows:
        """The arrays as Python reads them fastest, one number at a time: three times as fast as numpy's own."""
        return _Rows(self.offsets.data, self.tokens.data, self.targets.data, self.slacks.data)

    def allowed(self, state: int, remaining: int) -> NDArray[np.int32]:
        """Ids of the tokens in `mask(state, remaining)`, the stop token last."""
        begin, end = int(self.offsets[state]), int(self.offsets[state + 1])
        tokens = self.tokens[begin:end]
        if self.is_binding(state, remaining):
            tokens = tokens[self.distances[self.targets[begin:end]] <= remaining - 1]
        if self.accepting[state] and remaining >= 1:
            tokens = np.append(tokens, np.int32(self.eos_id))
        return np.asarray(tokens, dtype=np.int32)

    def mask(self, state: int, remaining: int) -> NDArray[np.int32]:
        """Packed bits of the tokens allowed with `remaining` tokens left, this one included; read-only.

        `ceil(vocabulary_size / 32)` words; token `t` is bit `t % 32` of word `t // 32`. Empty only when
        `remaining < distance(state)`, which a caller that refuses `max_tokens < min_tokens` never sees.
        """
        # Requests of one contract meet in the same states with the same number of tokens left.
        is_binding = self.is_binding(state, remaining)
        key = state, remaining if is_binding else _ENOUGH
        cached = self._masks.get(key)
        if cached is None:
            cached = pack(self.allowed(state, remaining if is_binding else max(remaining, 1)), self.vocabulary_size)
            self._masks[key] = cached
            if len(self._masks) * cached.nbytes > _MASK_CACHE_BYTES:
                self._masks.popitem(last=False)
        return cached

    def accepts(self, tokens: list[int]) -> bool:
        """Whether these tokens, stop token left out, spell a complete text."""
        state = self.start
        for token in tokens:
            target = self.next(state, token)
            if target is None:
                return False
            state = target
        return self.is_accepting(state)

    def save(self, folder: Path) -> None:
        """Write one `.npy` file per array into `folder`, which must exist; never a pickle."""
        header = np.array([self.vocabulary_size, self.eos_id, self.start], dtype=np.int64)
        for name in _ARRAYS:
            array = header if name == "header" else getattr(self, name)
            np.save(folder / f"{name}.npy", array, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, *, is_mapped: bool = True) -> TokenAutomaton:
        """Map the arrays of `save` into memory, shared by all processes that do; raises `DataLoss` when damaged.

        Without `is_mapped` they are read, and the folder may go.
        """
        try:
            # asarray: plain views of the mapped pages; numpy.memmap itself makes every slice three times slower
            files = {name: np.load(folder / f"{name}.npy", mmap_mode="r" if is_mapped else None, allow_pickle=False)
                     for name in _ARRAYS}  # fmt: skip
            arrays = {name: np.asarray(file) for name, file in files.items()}
            size, eos_id, start = (int(number) for number in arrays.pop("header"))
        except (OSError, ValueError, EOFError) as err:
            raise DataLoss("DIGEST_MISMATCH", f"The stored automaton {folder.name} cannot be read: {err}.") from err
        states, edges = len(arrays["accepting"]), len(arrays["tokens"])
        sizes = [len(arrays[name]) for name in ("offsets", "targets", "distances", "slacks")]
        if sizes != [states + 1, edges, states, states] or not 0 <= start < states:
            raise DataLoss("DIGEST_MISMATCH", f"The stored automaton {folder.name} is inconsistent.")
        return cls(
            vocabulary_size=size,
            eos_id=eos_id,
            start=start,
            offsets=arrays["offsets"],
            tokens=arrays["tokens"],
            targets=arrays["targets"],
            distances=arrays["distances"],
            slacks=arrays["slacks"],
            accepting=arrays["accepting"],
        )


def pack(tokens: NDArray[np.int32], vocabulary_size: int) -> NDArray[np.int32]:
    """Token ids as packed bits, `ceil(vocabulary_size / 32)` words; read-only."""
    bits = np.zeros((vocabulary_size + 31) // 32 * 32, dtype=np.uint8)
    bits[tokens] = 1
    packed = np.packbits(bits, bitorder="little").view("<i4")
    packed.flags.writeable = False
    return packed
