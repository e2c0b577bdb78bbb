"""The single values that an output is made of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from shared.contracts.json_schema.keywords import escape
from shared.contracts.spec import ContractKind

Scalar = str | int | float | bool | None

_MAX_LEAVES = 256
"""Of one output: what goes for some items of a list goes for the others."""
MAX_POINTER_CHARS = 200
"""What is deeper, or within longer names, is not looked into."""


@dataclass(frozen=True)
class Leaf:
    """A value that holds no others; an empty list or object is one without a value."""

    pointer: str
    """Where it is, a JSON Pointer; empty for a whole text."""
    field: str
    """The same with `*` for places in a list: what all rows have in common."""
    value: Scalar


def leaves(kind: ContractKind, output: str) -> Iterator[Leaf]:
    """The first 256 of an output that keeps its contract, in its order; a text that is not JSON is one leaf."""
    if kind is not ContractKind.JSON:
        yield Leaf("", "", output)
        return
    left: list[tuple[object, str, str]] = [(json.loads(output), "", "")]
    count = 0
    while left and count < _MAX_LEAVES:
        value, pointer, field = left.pop()
        if len(pointer) > MAX_POINTER_CHARS:
            continue
        if isinstance(value, dict) and value:
            names = ((escape(name), inner) for name, inner in reversed(value.items()))
            left += ((inner, f"{pointer}/{name}", f"{field}/{name}") for name, inner in names)
        elif isinstance(value, list) and value:
            inside = list(enumerate(value[:_MAX_LEAVES]))
            left += ((inner, f"{pointer}/{place}", f"{field}/*") for place, inner in reversed(inside))
        else:
            count += 1
            yield Leaf(pointer, field, value if isinstance(value, Scalar) else None)


def fields_of(output: str) -> Iterator[tuple[str, Scalar]]:
    """Every field of an output of JSON with each of its values; an empty list or object has the value None.

    All is walked, to the last item of the last list: what is said to be nowhere must not be there. Of fields with more
    than 200 characters the nearest around them that has fewer is told instead, with the value None.
    """
    left: list[tuple[object, str]] = [(json.loads(output), "")]
    while left:
        value, field = left.pop()
        if isinstance(value, dict) and value:
            within = [(inner, f"{field}/{escape(name)}") for name, inner in value.items()]
        elif isinstance(value, list) and value:
            items = f"{field}/*"
            within = [(inner, items) for inner in value]
        else:
            yield field, value if isinstance(value, Scalar) else None
            continue
        near = [found for found in within if len(found[1]) <= MAX_POINTER_CHARS]
        left += near
        if len(near) < len(within):
            yield field, None
