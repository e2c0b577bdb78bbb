"""Intersections of automata, written back as expressions."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as SequenceOf

from shared.contracts.grammar.charset import CharSet
from shared.contracts.grammar.expression import (
    ANY,
    EMPTY,
    NOTHING,
    Chars,
    Expression,
    alternation,
    repeat,
    sequence,
)
from shared.contracts.grammar.machine import Machine, TooComplex

_MAX_PRODUCT_STATES = 1_500
_MAX_POSITIONS = 4_000
"""Beyond, an intersection costs seconds in every engine, and only one in three hundred real schemas needs it."""
_MAX_DEPTH = 60


_State = tuple[tuple[frozenset[int], ...], int]


class Product:
    """All machines at once, with a counter of characters, made deterministic."""

    def __init__(
        self, machines: SequenceOf[Machine], without: SequenceOf[Machine], least: int, most: int | None
    ) -> None:
        self._machines, self._least, self._most = (*machines, *without), least, most
        self._wanted = len(machines)
        # Above this count every longer text is treated alike.
        self._cap = least if most is None else most
        sets = [{chars for row in machine.steps for chars, _ in row} for machine in self._machines]
        self._alphabet = _minterms(chars for own in sets for chars in own)
        self._alike = [self._told_apart(own) for own in sets]
        self._steps: dict[tuple[int, frozenset[int], int], frozenset[int]] = {}

    def expression(self) -> Expression:
        """The language as one expression."""
        arrows, accepting = self._explore()
        alive = _backward(arrows, accepting)
        if 0 not in alive:
            return NOTHING
        kept = {(s, t): e for (s, t), e in arrows.items() if s in alive and t in alive}
        return eliminate(kept, accepting & alive)

    def _explore(self) -> tuple[dict[tuple[int, int], Expression], set[int]]:
        start: _State = (tuple(machine.closure([0]) for machine in self._machines), 0)
        numbers, queue = {start: 0}, [start]
        labels: dict[tuple[int, int], list[tuple[int, int]]] = {}
        accepting = set()
        for state in queue:  # grows while it is read
            number = numbers[state]
            if state[1] >= self._least and self._accepts(state[0]):
                accepting.add(number)
            for chars, target in self._arrows(state):
                if target not in numbers:
                    numbers[target] = len(queue)
                    queue.append(target)
                    if len(queue) > _MAX_PRODUCT_STATES:
                        raise TooComplex(f"their intersection needs more than {_MAX_PRODUCT_STATES} states")
                labels.setdefault((number, numbers[target]), []).extend(chars.ranges)
        return {arrow: Chars(CharSet.of(ranges)) for arrow, ranges in labels.items()}, accepting

    def _accepts(self, groups: tuple[frozenset[int], ...]) -> bool:
        return all((1 in states) == (i < self._wanted) for i, states in enumerate(groups))

    def _arrows(self, state: _State) -> Iterable[tuple[CharSet, _State]]:
        groups, count = state
        if self._most is not None and count >= self._most:
            return
        for chars in self._alphabet:
            code = chars.ranges[0][0]
            stepped = tuple(self._step(index, states, code) for index, states in enumerate(groups))
            if all(stepped[: self._wanted]):
                yield chars, (stepped, min(count + 1, self._cap))

    def _step(self, index: int, states: frozenset[int], code: int) -> frozenset[int]:
        """The same step is asked for in every state that differs in another machine or in the count only."""
        key = (index, states, self._alike[index][code])
        if key not in self._steps:
            self._steps[key] = self._machines[index].step(states, code)
        return self._steps[key]

    def _told_apart(self, sets: set[CharSet]) -> dict[int, int]:
        """For the first character of each part of the alphabet: one that these sets do not tell from it."""
        first: dict[tuple[bool, ...], int] = {}
        codes = [chars.ranges[0][0] for chars in self._alphabet]
        return {code: first.setdefault(tuple(code in chars for chars in sets), code) for code in codes}


def _minterms(sets: Iterable[CharSet]) -> list[CharSet]:
    """The coarsest partition of the characters that every set is a union of; encodable characters only."""
    parts = [ANY.chars]
    for chars in dict.fromkeys(sets):
        parts = [part for old in parts for part in (old & chars, old - chars) if part]
        if len(parts) > 200:
            raise TooComplex("their intersection tells more than 200 kinds of characters apart")
    return parts


def _backward(arrows: Iterable[tuple[int, int]], accepting: set[int]) -> set[int]:
    sources: dict[int, list[int]] = {}
    for source, target in arrows:
        sources.setdefault(target, []).append(source)
    alive, stack = set(accepting), list(accepting)
    while stack:
        for source in sources.get(stack.pop(), ()):
            if source not in alive:
                alive.add(source)
                stack.append(source)
    return alive


def eliminate(arrows: dict[tuple[int, int], Expression], accepting: set[int]) -> Expression:
    """Kleene's construction: remove state after state, the least connected first.

    Source: Brzozowski and McCluskey 1963; the order after Delgado and Morais 2004.
    """
    begin, end = -1, -2
    after: dict[int, dict[int, Expression]] = {begin: {0: EMPTY}}
    before: dict[int, set[int]] = {0: {begin}}
    for (source, target), label in arrows.items():
        after.setdefault(source, {})[target] = label
        before.setdefault(target, set()).add(source)
    for state in accepting:
        after.setdefault(state, {})[end] = EMPTY
        before.setdefault(end, set()).add(state)
    states = set(after) - {begin}
    while states:
        state = min(states, key=lambda s: (len(before[s]) * len(after[s]), -s))
        states.discard(state)
        row = after.pop(state)
        loop = row.pop(state, None)
        middle = [repeat(loop, 0, None)] if loop is not None else []
        for target in row:
            before[target].discard(state)
        for source in before.pop(state) - {state}:
            first = after[source].pop(state)
            for target, last in row.items():
                label = sequence([first, *middle, last])
                merged = alternation([after[source][target], label]) if target in after[source] else label
                if merged.positions > _MAX_POSITIONS or merged.depth > _MAX_DEPTH:
                    raise TooComplex("their intersection does not fit an expression of bounded size")
                after[source][target] = merged
                before[target].add(source)
    return after[begin][end]
