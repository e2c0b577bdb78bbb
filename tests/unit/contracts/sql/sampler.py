"""Random texts of a regular expression, drawn over Python's own parse of it."""

from __future__ import annotations

import random
import re._constants as code
import re._parser as parser
from collections.abc import Iterable
from typing import Any

_STRING_CHARACTERS = 'ab %_\\"é\u2014😀;-/*'


def texts(expression: str, count: int, seed: int = 0) -> list[str]:
    """`count` texts that match the whole expression; the same seed gives the same texts."""
    tree, rng = parser.parse(expression), random.Random(seed)
    return [_draw(rng, tree) for _ in range(count)]


def _draw(rng: random.Random, tree: Iterable[tuple[Any, Any]]) -> str:
    return "".join(_draw_one(rng, kind, value) for kind, value in tree)


def _draw_one(rng: random.Random, kind: Any, value: Any) -> str:
    if kind is code.LITERAL:
        return chr(value)
    if kind is code.SUBPATTERN:
        return _draw(rng, value[3])
    if kind is code.BRANCH:
        return _draw(rng, rng.choice(value[1]))
    if kind is code.MAX_REPEAT:
        low, high, tree = value
        count = low
        while count < high and count < 4 and rng.random() < 0.45:
            count += 1
        return "".join(_draw(rng, tree) for _ in range(count))
    if kind is code.IN and value[0][0] is code.NEGATE:
        return rng.choice(_STRING_CHARACTERS)
    if kind is code.IN:
        kind, value = rng.choice(value)
        return chr(value) if kind is code.LITERAL else chr(rng.randint(*value))
    raise AssertionError(f"the expression uses {kind}, which Rust and Python may read differently")
