"""What calls what: the order to measure things in, and those that call each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

Calls = Mapping[str, Sequence[str]]
"""By name: the names that it calls, each of them a key as well."""


def finishing_order(calls: Calls, roots: Iterable[str]) -> list[str]:
    """What the roots reach, each name after those that it calls; only names that call each other cannot all be.

    So a call of a name that does not come before is part of a circle. Source: depth-first search, in postorder.
    """
    finished: list[str] = []
    opened: set[str] = set()
    stack = [(root, False) for root in roots]
    while stack:
        name, is_left = stack.pop()
        if is_left:
            finished.append(name)
        elif name not in opened:
            opened.add(name)
            stack.append((name, True))
            stack.extend((other, False) for other in calls[name])
    return finished


def components(calls: Calls) -> dict[str, int]:
    """A number per name: equal for two that call each other in the end. Source: Kosaraju's algorithm (Sharir 1981)."""
    callers: dict[str, list[str]] = {name: [] for name in calls}
    for name, called in calls.items():
        for other in called:
            callers[other].append(name)
    numbers: dict[str, int] = {}
    for name in reversed(finishing_order(calls, calls)):
        if name not in numbers:
            number, stack = len(numbers), [name]
            while stack:
                top = stack.pop()
                if top not in numbers:
                    numbers[top] = number
                    stack.extend(callers[top])
    return numbers
