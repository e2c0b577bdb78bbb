"""Choosers of tokens, friendly and hostile, and walks under a contract's budget."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shared.contracts.guide import Guide
from shared.contracts.vocabulary import TokenVocabulary

_CANDIDATES = 6
"""Tokens that a chooser with foresight looks into at each step."""

Policy = Callable[[Guide, NDArray[np.int64], int, random.Random, TokenVocabulary], int]
"""Picks one of the allowed tokens (ascending ids) with so many tokens remaining."""


def uniform(
    guide: Guide, allowed: NDArray[np.int64], remaining: int, rng: random.Random, vocabulary: TokenVocabulary
) -> int:
    """Any allowed token."""
    return int(allowed[rng.randrange(len(allowed))])


def rambler(
    guide: Guide, allowed: NDArray[np.int64], remaining: int, rng: random.Random, vocabulary: TokenVocabulary
) -> int:
    """Spaces and digits for ever, the stop token only when nothing else is left."""
    if vocabulary.digest not in _LOVED:
        _LOVED[vocabulary.digest] = _loved(vocabulary)
    loved = allowed[_LOVED[vocabulary.digest][allowed]]
    going = loved if len(loved) else allowed[allowed != vocabulary.eos_id]
    return uniform(guide, going if len(going) else allowed, remaining, rng, vocabulary)


def farthest(
    guide: Guide, allowed: NDArray[np.int64], remaining: int, rng: random.Random, vocabulary: TokenVocabulary
) -> int:
    """Of a few tokens the one after which the end is farthest."""
    return _best(guide, allowed, rng, vocabulary, guide.distance)


def freest(
    guide: Guide, allowed: NDArray[np.int64], remaining: int, rng: random.Random, vocabulary: TokenVocabulary
) -> int:
    """Of a few tokens the one after which most tokens are allowed: the highest entropy."""
    return _best(guide, allowed, rng, vocabulary, lambda: len(ids_of(guide.mask(remaining - 1))))


POLICIES: tuple[Policy, ...] = (uniform, rambler, farthest, freest)


def _best(
    guide: Guide, allowed: NDArray[np.int64], rng: random.Random, vocabulary: TokenVocabulary, value: Callable[[], int]
) -> int:
    going = allowed[allowed != vocabulary.eos_id]
    if not len(going):
        return vocabulary.eos_id
    some = {int(going[rng.randrange(len(going))]) for _ in range(_CANDIDATES)}
    values = {}
    for token in sorted(some):
        if not guide.advance(token):
            raise AssertionError(f"the mask allows {token}, which cannot follow")
        values[token] = value()
        guide.rollback(1)
    return max(values, key=lambda token: values[token])


_LOVED: dict[str, NDArray[np.bool_]] = {}


def _loved(vocabulary: TokenVocabulary) -> NDArray[np.bool_]:
    members = np.zeros((vocabulary.size + 31) // 32 * 32, dtype=np.bool_)
    for token, data in vocabulary.token_bytes.items():
        members[token] = data.isspace() or data.isdigit()
    return members


def ids_of(mask: NDArray[np.int32]) -> NDArray[np.int64]:
    """Ids of a packed mask, ascending."""
    return np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little"))


def walk(guide: Guide, budget: int, policy: Policy, rng: random.Random, vocabulary: TokenVocabulary) -> bytes | None:
    """The bytes of one walk under the mask; None when it did not end with the stop token in time."""
    data = []
    for used in range(budget):
        allowed = ids_of(guide.mask(budget - used))
        if not len(allowed):
            return None
        token = policy(guide, allowed, budget - used, rng, vocabulary)
        if not guide.advance(token):
            raise AssertionError(f"the mask allows {token}, which cannot follow")
        if token == vocabulary.eos_id:
            return b"".join(data)
        data.append(vocabulary.token_bytes[token])
    return None
