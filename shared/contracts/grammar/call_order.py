"""Which rules of a grammar call which: the order to measure them in, and those that call each other."""

from __future__ import annotations

from collections.abc import Mapping

from shared.contracts.grammar.expression import Alternation, Expression, Reference, Repeat, Sequence
from shared.contracts.grammar.grammar import Grammar


def called(expression: Expression) -> list[str]:
    """The rules that an expression refers to, each once."""
    found: dict[str, None] = {}
    stack = [expression]
    while stack:
        match stack.pop():
            case Reference(name):
                found[name] = None
            case Sequence(parts) | Alternation(parts):
                stack.extend(reversed(parts))
            case Repeat(item, _, most) if most != 0:
                stack.append(item)
    return list(found)


def reachable(grammar: Grammar) -> list[str]:
    """Names in an order in which a rule mostly comes after those that it calls: measures settle in few passes."""
    finished: dict[str, None] = {}
    opened: set[str] = set()
    stack = [(grammar.root, False)]
    while stack:
        name, is_left = stack.pop()
        if is_left:
            finished[name] = None
        elif name not in opened:
            opened.add(name)
            stack.append((name, True))
            stack.extend((other, False) for other in called(grammar.rules[name].expression))
    return list(finished)


def components(calls: Mapping[str, list[str]]) -> dict[str, int]:
    """A number per rule: equal for two that call each other in the end. Source: Kosaraju's algorithm (Sharir 1981)."""
    callers: dict[str, list[str]] = {name: [] for name in calls}
    for name, called in calls.items():
        for other in called:
            callers[other].append(name)
    numbers: dict[str, int] = {}
    for name in reversed(_finishing_order(calls)):
        if name not in numbers:
            number, stack = len(numbers), [name]
            while stack:
                top = stack.pop()
                if top not in numbers:
                    numbers[top] = number
                    stack.extend(callers[top])
    return numbers


def _finishing_order(calls: Mapping[str, list[str]]) -> list[str]:
    finished: list[str] = []
    opened: set[str] = set()
    for root in calls:
        stack = [(root, False)]
        while stack:
            name, is_left = stack.pop()
            if is_left:
                finished.append(name)
            elif name not in opened:
                opened.add(name)
                stack.append((name, True))
                stack.extend((other, False) for other in calls[name])
    return finished
