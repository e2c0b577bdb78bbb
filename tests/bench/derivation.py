"""Random texts of a grammar: derivations drawn rule by rule, not token by token."""

from __future__ import annotations

import random

from shared.contracts.grammar.expression import Alternation, Chars, Expression, Reference, Repeat, Sequence, Text
from shared.contracts.grammar.grammar import Grammar

_CHARACTERS = 'ab %_"\\é\u2014😀;-/*'
_LONG = 1_500
"""Characters after which every choice is the shortest one."""


class Walker:
    """Draws texts of one grammar; the same seed draws the same texts."""

    def __init__(self, grammar: Grammar, seed: int, *, eagerness: float = 0.3) -> None:
        self._rules, self._root = grammar.rules, grammar.root
        self._rng, self._eagerness = random.Random(seed), eagerness
        self._shortest: dict[str, int] = {}
        for name in grammar.order or ():
            self._shortest[name] = self._length(grammar.rules[name].expression)
        self._written = 0

    def text(self) -> str:
        """One text."""
        self._written = 0
        return "".join(self._draw(Reference(self._root)))

    def _draw(self, expression: Expression) -> list[str]:
        match expression:
            case Text(text):
                self._written += len(text)
                return [text]
            case Reference(rule):
                return self._draw(self._rules[rule].expression)
            case Sequence(items):
                return [piece for item in items for piece in self._draw(item)]
            case Alternation(branches):
                is_long = self._written > _LONG
                return self._draw(min(branches, key=self._length) if is_long else self._rng.choice(branches))
            case Repeat(item, least, most):
                count = least
                while self._written < _LONG and count < (most or 4) and self._rng.random() < self._eagerness:
                    count += 1
                return [piece for _ in range(count) for piece in self._draw(item)]
            case Chars(members):
                low, high = self._rng.choice(members.ranges)
                usual = [char for char in _CHARACTERS if ord(char) in members]
                self._written += 1
                return [self._rng.choice(usual) if usual else chr(self._rng.randint(low, high))]

    def _length(self, expression: Expression) -> int:
        match expression:
            case Reference(rule):
                return self._shortest[rule]
            case Sequence(items):
                return sum(map(self._length, items))
            case Alternation(branches):
                return min(map(self._length, branches))
            case Repeat(item, least):
                return least * self._length(item)
            case _:
                return expression.min_length
