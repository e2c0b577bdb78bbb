"""Membership in a regular language over characters, by a small automaton of our own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.contracts.grammar.charset import CharSet
from shared.contracts.grammar.expression import (
    Alternation,
    Chars,
    Expression,
    Reference,
    Repeat,
    Sequence,
    Text,
)

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
