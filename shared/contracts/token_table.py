"""A vocabulary arranged for looking up tokens by their bytes."""

from __future__ import annotations

import bisect
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from shared.contracts.automaton import pack
from shared.contracts.vocabulary import TokenVocabulary
from shared.lazy import cached_property

if TYPE_CHECKING:
    from shared.contracts.grammar.parser import ParserTokens

_UNREACHED = 1 << 30
_tables: WeakValueDictionary[str, TokenTable] = WeakValueDictionary()


def token_table(digest: str, load: Callable[[], TokenVocabulary]) -> TokenTable:
    """The one table of a vocabulary in this process; `load` reads the vocabulary when it is not there yet."""
    found = _tables.get(digest)
    if found is None:
        found = _tables[digest] = TokenTable(load())
    return found


class TokenTable:
    """Tokens by content. One per vocabulary and process; the heavier parts are made when first asked for."""

    def __init__(self, vocabulary: TokenVocabulary) -> None:
        self.vocabulary = vocabulary
        self.by_bytes: dict[bytes, int] = {}
        for token, data in sorted(vocabulary.token_bytes.items(), reverse=True):
            self.by_bytes[data] = token
        lengths: dict[int, set[int]] = {}
        for data in self.by_bytes:
            lengths.setdefault(data[0], set()).add(len(data))
        self._lengths = {first: sorted(sizes) for first, sizes in lengths.items()}
        # At 131,072 tokens a mask is 16 KiB and the counts are 512 KiB.
        self._exit_masks = lru_cache(2048)(self._exit_mask)
        self._exit_counts = lru_cache(32)(self._count_exits)
        self.containing = lru_cache(4096)(self._containing)

    @cached_property
    def parser_tokens(self) -> ParserTokens:
        """The same tokens for llguidance."""
        from shared.contracts.grammar.parser import ParserTokens  # which builds on this module

        return ParserTokens(self)

    def missing_bytes(self, wanted: frozenset[int]) -> list[int]:
        """Those bytes that no token of one byte stands for."""
        return sorted(byte for byte in wanted if bytes([byte]) not in self.by_bytes)

    def costs(self, text: bytes) -> list[int]:
        """Fewest tokens that spell each suffix of a text, the empty one last: shortest paths from the end."""
        best = [_UNREACHED] * len(text) + [0]
        for place in range(len(text) - 1, -1, -1):
            for size in self._lengths.get(text[place], ()):
                if place + size > len(text):
                    break
                if best[place + size] + 1 < best[place] and text[place : place + size] in self.by_bytes:
                    best[place] = best[place + size] + 1
        return best

    def segment(self, text: bytes) -> tuple[int, ...]:
        """A fewest sequence of tokens that spells a text, which single-byte tokens must be able to."""
        costs, tokens, place = self.costs(text), [], 0
        while place < len(text):
            for size in reversed(self._lengths[text[place]]):
                piece = text[place : place + size]
                if place + size <= len(text) and costs[place + size] == costs[place] - 1 and piece in self.by_bytes:
                    tokens.append(self.by_bytes[piece])
                    place += size
                    break
            else:
                raise ValueError("the tokens cannot spell this text")
        return tuple(tokens)

    def starting(self, prefix: bytes) -> NDArray[np.int32]:
        """Ids of the tokens that begin with `prefix`."""
        keys, ids = self._sorted
        return ids[bisect.bisect_left(keys, prefix) : bisect.bisect_left(keys, prefix + b"\xff" * 64)]

    def _containing(self, part: bytes) -> NDArray[np.int32]:
        """Ids of the tokens that hold `part` anywhere."""
        blob, starts, ids = self._blob
        found, place = [], blob.find(part)
        while place >= 0:
            row = int(np.searchsorted(starts, place, side="right")) - 1
            if place + len(part) <= starts[row + 1]:
                found.append(int(ids[row]))
            place = blob.find(part, place + 1)
        return np.unique(np.array(found, dtype=np.int32))

    def exits(self, leaving: frozenset[int], ending: frozenset[int], most: int) -> NDArray[np.int32]:
        """Packed bits of the tokens with at most `most` `ending` bytes from the first `leaving` byte on."""
        return self._exit_masks(leaving, ending, min(most, self._longest))

    def _exit_mask(self, leaving: frozenset[int], ending: frozenset[int], most: int) -> NDArray[np.int32]:
        return pack(self._blob[2][self._exit_counts(leaving, ending) <= most], self.vocabulary.size)

    def _count_exits(self, leaving: frozenset[int], ending: frozenset[int]) -> NDArray[np.int32]:
        blob, starts, _ = self._blob
        data = np.frombuffer(blob, dtype=np.uint8)
        sums = np.concatenate([[0], np.cumsum(_members(ending)[data], dtype=np.int32)])
        places = np.append(np.flatnonzero(_members(leaving)[data]), len(data))
        first = np.minimum(places[np.searchsorted(places, starts[:-1])], starts[1:])
        counts: NDArray[np.int32] = (sums[starts[1:]] - sums[first]).astype(np.int32)
        return counts

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self.by_bytes), default=0)

    @cached_property
    def _sorted(self) -> tuple[list[bytes], NDArray[np.int32]]:
        pairs = sorted((data, token) for token, data in self.vocabulary.token_bytes.items())
        return [data for data, _ in pairs], np.array([token for _, token in pairs], dtype=np.int32)

    @cached_property
    def _blob(self) -> tuple[bytes, NDArray[np.int64], NDArray[np.int32]]:
        pairs = sorted(self.vocabulary.token_bytes.items())
        starts = np.concatenate([[0], np.cumsum([len(data) for _, data in pairs], dtype=np.int64)])
        return b"".join(data for _, data in pairs), starts, np.array([token for token, _ in pairs], dtype=np.int32)


def _members(members: frozenset[int]) -> NDArray[np.bool_]:
    table = np.zeros(256, dtype=np.bool_)
    table[list(members)] = True
    return table
