"""A small template language for sentences: `(a|b)` one of, `[a]` perhaps, `<a;b;c>` in any order, `{slot}` a value."""

from collections.abc import Callable
from functools import lru_cache
from random import Random
from typing import NamedTuple


class _Node(NamedTuple):
    kind: str  # text, slot, sequence, choice, optional, shuffle
    text: str = ""
    parts: tuple["_Node", ...] = ()


_CLOSERS = {"(": ")", "[": "]", "<": ">"}
_KINDS = {"(": "choice", "[": "optional", "<": "shuffle"}
_SEPARATORS = {"(": "|", "[": "|", "<": ";"}


def _parse(source: str, at: int, stops: str) -> tuple[_Node, int]:
    parts: list[_Node] = []
    plain = ""
    while at < len(source) and source[at] not in stops:
        char = source[at]
        if char not in "([<{":
            plain, at = plain + char, at + 1
            continue
        if plain:
            parts.append(_Node("text", plain))
            plain = ""
        if char == "{":
            end = source.index("}", at)
            parts.append(_Node("slot", source[at + 1 : end]))
            at = end + 1
            continue
        options: list[_Node] = []
        closer, separator = _CLOSERS[char], _SEPARATORS[char]
        at += 1
        while True:
            option, at = _parse(source, at, closer + separator)
            options.append(option)
            at += 1
            if source[at - 1] == closer:
                break
        parts.append(_Node(_KINDS[char], parts=tuple(options)))
    if plain:
        parts.append(_Node("text", plain))
    return _Node("sequence", parts=tuple(parts)), at


@lru_cache(maxsize=4096)
def parse(source: str) -> _Node:
    """Returns the tree of a template."""
    return _parse(source, 0, "")[0]


def expand(source: str, rng: Random, fill: Callable[[str], str]) -> str:
    """Returns a sentence made from the template; `fill` supplies the text of each slot that is met."""
    return " ".join(_expand(parse(source), rng, fill).split())


def _expand(node: _Node, rng: Random, fill: Callable[[str], str]) -> str:
    if node.kind == "text":
        return node.text
    if node.kind == "slot":
        return fill(node.text)
    if node.kind == "choice":
        return _expand(rng.choice(node.parts), rng, fill)
    if node.kind == "optional":
        return _expand(rng.choice(node.parts), rng, fill) if rng.random() < 0.5 else ""
    if node.kind == "shuffle":
        parts = list(node.parts)
        rng.shuffle(parts)
        return " ".join(_expand(part, rng, fill) for part in parts)
    return "".join(_expand(part, rng, fill) for part in node.parts)
