"""Membership and intersection of regular languages over characters, by small automata of our own."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, field
from functools import lru_cache

from shared.contracts.grammar.charset import CharSet
from shared.contracts.grammar.expression import (
    ANY,
    ANYTHING,
    EMPTY,
    NOTHING,
    Alternation,
    Chars,
    Expression,
    Reference,
    Repeat,
    Sequence,
    Text,
    alternation,
    repeat,
    sequence,
)

_MAX_PRODUCT_STATES = 1_500
_MAX_POSITIONS = 60_000
_MAX_DEPTH = 60
MAX_MACHINE_STATES = 100_000


class TooComplex(Exception):
    """An intersection does not fit the limits; the text says which."""


@dataclass
class Machine:
    """A non-deterministic automaton (Thompson's construction); state 0 is the start, state 1 accepts."""

    silent: list[list[int]] = field(default_factory=lambda: [[], []])
    steps: list[list[tuple[CharSet, int]]] = field(default_factory=lambda: [[], []])

    @classmethod
    def of(cls, expression: Expression) -> Machine:
        """The automaton of an expression; raises `TooComplex`."""
        if expression.positions > MAX_MACHINE_STATES:
            raise TooComplex(f"it needs {expression.positions} places, the limit is {MAX_MACHINE_STATES}")
        machine = cls()
        machine._connect(expression, 0, 1)
        return machine

    def closure(self, states: Iterable[int]) -> frozenset[int]:
        """All states reachable without reading."""
        reached = set(states)
        stack = list(reached)
        while stack:
            for target in self.silent[stack.pop()]:
                if target not in reached:
                    reached.add(target)
                    stack.append(target)
        return frozenset(reached)

    def step(self, states: frozenset[int], code: int) -> frozenset[int]:
        """The states after reading one character."""
        return self.closure(target for state in states for chars, target in self.steps[state] if code in chars)

    def accepts(self, text: str) -> bool:
        """Whether the whole text is in the language; linear in its length, whatever the pattern."""
        states = self.closure([0])
        for char in text:
            states = self.step(states, ord(char))
            if not states:
                return False
        return 1 in states

    def _state(self) -> int:
        self.silent.append([])
        self.steps.append([])
        return len(self.silent) - 1

    def _connect(self, expression: Expression, begin: int, end: int) -> None:
        match expression:
            case Chars(chars):
                self.steps[begin].append((chars, end))
            case Text(text):
                self._connect(Sequence(tuple(Chars(CharSet.chars(char)) for char in text)), begin, end)
            case Sequence(items):
                for item in items[:-1]:
                    middle = self._state()
                    self._connect(item, begin, middle)
                    begin = middle
                if items:
                    self._connect(items[-1], begin, end)
                else:
                    self.silent[begin].append(end)
            case Alternation(branches):
                for branch in branches:
                    inside, outside = self._state(), self._state()
                    self.silent[begin].append(inside)
                    self.silent[outside].append(end)
                    self._connect(branch, inside, outside)
            case Repeat(item, least, most):
                self._connect_repeat(item, least, most, begin, end)
            case Reference(rule):
                raise TooComplex(f"it refers to the rule {rule}")

    def _connect_repeat(self, item: Expression, least: int, most: int | None, begin: int, end: int) -> None:
        for _ in range(least):
            middle = self._state()
            self._connect(item, begin, middle)
            begin = middle
        if most is None:
            loop = self._state()
            self.silent[begin].append(loop)
            back = self._state()
            self._connect(item, loop, back)
            self.silent[back].append(loop)
            self.silent[loop].append(end)
            return
        for _ in range(most - least):
            self.silent[begin].append(end)
            middle = self._state()
            self._connect(item, begin, middle)
            begin = middle
        self.silent[begin].append(end)


def intersect(
    languages: SequenceOf[Expression], least: int = 0, most: int | None = None, without: SequenceOf[Expression] = ()
) -> Expression:
    """The texts of `least` to `most` characters that are in every language and in none of `without`.

    `NOTHING` when there are none. Tries rewrites first, then the product of the automata written back as an expression.
    Raises `TooComplex`.
    """
    proper = tuple(language for language in dict.fromkeys(languages) if language != ANYTHING)
    return _intersection(proper, least, most, tuple(dict.fromkeys(without)))


@lru_cache(maxsize=4096)
def _intersection(
    proper: tuple[Expression, ...], least: int, most: int | None, without: tuple[Expression, ...]
) -> Expression:
    if most is not None and most < least:
        return NOTHING
    if not proper and not without:
        return repeat(ANY, least, most)
    if len(proper) == 1 and not without:
        bounded = _bounded(proper[0], least, most)
        if bounded is not None:
            return bounded
    return _Product([Machine.of(one) for one in proper], [Machine.of(one) for one in without], least, most).expression()


def _bounded(expression: Expression, least: int, most: int | None) -> Expression | None:
    """The texts of an expression within a length range, where a rewrite can say it; None where it cannot."""
    longest = expression.max_length
    too_short = longest is not None and longest < least
    if expression == NOTHING or too_short or (most is not None and expression.min_length > most):
        return NOTHING
    if expression.min_length >= least and (most is None or (longest is not None and longest <= most)):
        return expression
    if isinstance(expression, Alternation):
        branches = [_bounded(branch, least, most) for branch in expression.branches]
        return None if None in branches else alternation(branch for branch in branches if branch is not None)
    if isinstance(expression, Repeat) and expression.item.min_length == expression.item.max_length:
        size = expression.item.min_length
        low = max(expression.least, -(-least // size))
        limits = [limit for limit in (expression.most, None if most is None else most // size) if limit is not None]
        high = min(limits, default=None)
        return NOTHING if high is not None and low > high else repeat(expression.item, low, high)
    if isinstance(expression, Sequence):
        return _bounded_sequence(expression, least, most)
    return None


def _bounded_sequence(expression: Sequence, least: int, most: int | None) -> Expression | None:
    loose = [i for i, item in enumerate(expression.items) if item.min_length != item.max_length]
    if len(loose) != 1:
        return None
    fixed = expression.min_length - expression.items[loose[0]].min_length
    inner = _bounded(expression.items[loose[0]], max(0, least - fixed), None if most is None else most - fixed)
    if inner is None:
        return None
    return sequence([*expression.items[: loose[0]], inner, *expression.items[loose[0] + 1 :]])


_State = tuple[tuple[frozenset[int], ...], int]


class _Product:
    """All machines at once, with a counter of characters, made deterministic."""

    def __init__(
        self, machines: SequenceOf[Machine], without: SequenceOf[Machine], least: int, most: int | None
    ) -> None:
        self._machines, self._least, self._most = (*machines, *without), least, most
        self._wanted = len(machines)
        # Above this count every longer text is treated alike.
        self._cap = least if most is None else most
        self._alphabet = _minterms(chars for m in self._machines for row in m.steps for chars, _ in row)

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
        labels: dict[tuple[int, int], CharSet] = {}
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
                arrow = (number, numbers[target])
                labels[arrow] = labels.get(arrow, CharSet(())) | chars
        return {arrow: Chars(chars) for arrow, chars in labels.items()}, accepting

    def _accepts(self, groups: tuple[frozenset[int], ...]) -> bool:
        return all((1 in states) == (i < self._wanted) for i, states in enumerate(groups))

    def _arrows(self, state: _State) -> Iterable[tuple[CharSet, _State]]:
        groups, count = state
        if self._most is not None and count >= self._most:
            return
        for chars in self._alphabet:
            code = chars.ranges[0][0]
            stepped = tuple(m.step(states, code) for m, states in zip(self._machines, groups, strict=True))
            if all(stepped[: self._wanted]):
                yield chars, (stepped, min(count + 1, self._cap))


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


def finite_texts(expression: Expression, limit: int) -> tuple[str, ...] | None:
    """Every text of a finite language; None when there are more than `limit`, or it refers to a rule."""
    found: tuple[str, ...] | None = None
    match expression:
        case Chars(members):
            codes = [range(low, high + 1) for low, high in members.ranges]
            if sum(map(len, codes)) <= limit:
                found = tuple(chr(code) for run in codes for code in run)
        case Text(text):
            found = (text,)
        case Alternation(branches):
            found = _union([finite_texts(branch, limit) for branch in branches], limit)
        case Sequence(items):
            found = _concatenations([finite_texts(item, limit) for item in items], limit)
        case Repeat(item, least, most) if most is not None and most <= limit:
            texts = finite_texts(item, limit)
            found = _union([_concatenations([texts] * count, limit) for count in range(least, most + 1)], limit)
    return found


def _union(parts: SequenceOf[tuple[str, ...] | None], limit: int) -> tuple[str, ...] | None:
    if None in parts:
        return None
    found = tuple(dict.fromkeys(text for part in parts for text in part or ()))
    return found if len(found) <= limit else None


def _concatenations(parts: SequenceOf[tuple[str, ...] | None], limit: int) -> tuple[str, ...] | None:
    found: tuple[str, ...] = ("",)
    for part in parts:
        if part is None or len(found) * len(part) > limit:
            return None
        found = tuple(dict.fromkeys(left + right for left in found for right in part))
    return found
