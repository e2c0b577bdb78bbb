"""Sets of characters as small automata over bytes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from shared.contracts.grammar.charset import CharSet

_ByteRanges = tuple[tuple[int, int], ...]
_PREFERRED = b"0aA "
"""Bytes that a shortest text is made of where it may choose: readable rather than the lowest control character."""


class ByteNode:
    """A place inside one unit of text. Compared by identity: equal places are shared."""

    __slots__ = ("cost", "size", "table", "witness")

    def __init__(self, table: dict[int, ByteNode | None], witness: bytes, cost: int) -> None:
        self.table = table
        """What follows each byte; None: the unit is complete."""
        self.witness = witness
        """A shortest way to complete the unit."""
        self.size = len(witness)
        """Its bytes."""
        self.cost = cost
        """Tokens that are enough for it."""


@cache
def charset_node(chars: CharSet) -> ByteNode:
    """The place before one character of a non-empty set without surrogates; every byte counts as one token."""
    return _node(frozenset(sequence for low, high in chars.ranges for sequence in _sequences(low, high)))


@cache
def _node(tails: frozenset[_ByteRanges]) -> ByteNode:
    following: dict[int, set[_ByteRanges]] = {}
    for tail in tails:
        for byte in range(tail[0][0], tail[0][1] + 1):
            following.setdefault(byte, set()).add(tail[1:])
    table = {byte: None if () in rest else _node(frozenset(rest)) for byte, rest in sorted(following.items())}
    best = min(table, key=lambda byte: (len(_rest(table[byte])), _rank(byte)))
    witness = bytes([best]) + _rest(table[best])
    return ByteNode(table, witness, len(witness))


def _rest(node: ByteNode | None) -> bytes:
    return node.witness if node else b""


def _rank(byte: int) -> int:
    return _PREFERRED.index(byte) if byte in _PREFERRED else 256 + byte


def _sequences(low: int, high: int) -> Iterator[_ByteRanges]:
    """The UTF-8 of a range of code points as sequences of byte ranges.

    Source: the splitting of Russ Cox's RE2 (and Rust's utf8-ranges): at lengths, then where continuation bytes wrap.
    """
    for last in (0x7F, 0x7FF, 0xFFFF):
        if low <= last < high:
            yield from _sequences(low, last)
            yield from _sequences(last + 1, high)
            return
    for bits in (6, 12, 18) if high > 0x7F else ():
        mask = (1 << bits) - 1
        if low & ~mask != high & ~mask:
            if low & mask:
                yield from _sequences(low, low | mask)
                yield from _sequences((low | mask) + 1, high)
                return
            if high & mask != mask:
                yield from _sequences(low, (high & ~mask) - 1)
                yield from _sequences(high & ~mask, high)
                return
    yield tuple(zip(chr(low).encode(), chr(high).encode(), strict=True))
