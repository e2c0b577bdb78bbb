"""Random texts of a grammar: derivations drawn rule by rule, whatever the engines would make of the grammar."""

from __future__ import annotations

import math
import random

from shared.contracts.grammar.charset import CharSet
from shared.contracts.grammar.expression import Alternation, Chars, Expression, Reference, Repeat, Sequence, Text
from shared.contracts.grammar.grammar import Grammar

_AWKWARD = CharSet.chars("ab %_'\"\\é\u2014😀;-/*")
"""What quoting, escaping, comments and encodings trip over, and two letters."""
_PRINTABLE = CharSet.of([(0x20, 0x7E)])


class KeyTwice(Exception):
    """A derivation used a key twice, or one that is taken."""


class RandomTexts:
    """Draws texts of one grammar; a generator of the same seed draws the same ones.

    `eagerness` is the chance of each further repetition. After `enough` characters every choice is a shortest one, so
    recursion ends.
    """

    def __init__(self, grammar: Grammar, rng: random.Random, *, eagerness: float = 0.3, enough: int = 1_500) -> None:
        self._grammar, self._rng, self._eagerness, self._enough = grammar, rng, eagerness, enough
        self._least = dict.fromkeys(grammar.rules, math.inf)
        self._measure(grammar.order or tuple(grammar.rules))
        self._written = 0

    def draw(self) -> str:
        """One text; raises `KeyTwice` where chance repeats a key of an open map."""
        self._written = 0
        return self._draw(Reference(self._grammar.root), set())

    def _draw(self, expression: Expression, keys: set[str]) -> str:
        match expression:
            case Text(text):
                self._written += len(text)
                return text
            case Chars(members):
                self._written += 1
                return self._character(members)
            case Reference(name):
                return self._draw_rule(name, keys)
            case Sequence(items):
                return "".join([self._draw(item, keys) for item in items])
            case Alternation(branches):
                return self._draw(self._rng.choice(self._shortest(branches) if self._is_enough else branches), keys)
            case Repeat(item, least, most):
                count = least
                while not self._is_enough and count != most and self._rng.random() < self._eagerness:
                    count += 1
                return "".join([self._draw(item, keys) for _ in range(count)])

    def _draw_rule(self, name: str, keys: set[str]) -> str:
        rule = self._grammar.rules[name]
        text = self._draw(rule.expression, keys if rule.taken is None else set(rule.taken))
        if rule.open_key:
            if text in keys:
                raise KeyTwice(text)
            keys.add(text)
        return text

    def _character(self, members: CharSet) -> str:
        """Of three characters one is awkward and one printable, where the set has such; the third is any."""
        preferred = members & self._rng.choice((_AWKWARD, _PRINTABLE, members))
        return chr(self._rng.randint(*self._rng.choice((preferred or members).ranges)))

    @property
    def _is_enough(self) -> bool:
        return self._written >= self._enough

    def _shortest(self, branches: tuple[Expression, ...]) -> list[Expression]:
        """All of the shortest: the first of them may be the rule itself again."""
        lengths = [self._length(branch) for branch in branches]
        return [branch for branch, length in zip(branches, lengths, strict=True) if length == min(lengths)]

    def _measure(self, names: tuple[str, ...]) -> None:
        """Characters of the shortest text of each rule: the least fixed point; at once where no rule is recursive."""
        found: dict[str, float] = {}
        while found != self._least:
            found = dict(self._least)
            for name in names:
                self._least[name] = self._length(self._grammar.rules[name].expression)

    def _length(self, expression: Expression) -> float:
        match expression:
            case Reference(name):
                return self._least[name]
            case Sequence(items):
                return sum(map(self._length, items))
            case Alternation(branches):
                return min(map(self._length, branches), default=math.inf)
            case Repeat(item, least):
                return least * self._length(item) if least else 0
            case _:
                return expression.min_length
