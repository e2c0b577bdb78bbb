"""A grammar read literally, slowly and independently of the engines: what texts it derives and which it accepts."""

from __future__ import annotations

import random
from functools import cache

from shared.contracts.grammar.charset import CharSet
from shared.contracts.grammar.expression import Alternation, Chars, Expression, Reference, Repeat, Sequence
from shared.contracts.grammar.grammar import Grammar
from shared.contracts.grammar.machine import Machine

_PLAIN = CharSet.of([(0x20, 0x7E)])


class KeyTwice(Exception):
    """A derivation used a key twice, or one that is taken."""


class Oracle:
    """Derivations and membership for one grammar."""

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._shortest = self._least_lengths()
        self._machine = cache(lambda rule: Machine.of(grammar.rules[rule].expression))

    def _least_lengths(self) -> dict[str, int]:
        """Characters of the shortest text of each rule: the least fixed point."""
        lengths = dict.fromkeys(self._grammar.rules, 10**9)
        while True:
            found = {name: self._least(rule.expression, lengths) for name, rule in self._grammar.rules.items()}
            if found == lengths:
                return lengths
            lengths = found

    def _least(self, expression: Expression, lengths: dict[str, int]) -> int:
        match expression:
            case Reference(rule):
                return lengths[rule]
            case Sequence(items):
                return min(sum(self._least(item, lengths) for item in items), 10**9)
            case Alternation(branches):
                return min((self._least(branch, lengths) for branch in branches), default=10**9)
            case Repeat(item, least):
                return self._least(item, lengths) * least if least else 0
        return expression.min_length

    def derive(self, rng: random.Random, depth: int = 6) -> str:
        """A random text; raises `KeyTwice` where chance repeats a key."""
        return self._derive(Reference(self._grammar.root), rng, depth, [set()])

    def _derive(self, expression: Expression, rng: random.Random, depth: int, keys: list[set[str]]) -> str:
        match expression:
            case Reference(name):
                rule = self._grammar.rules[name]
                if rule.taken is not None:
                    keys = [*keys, set(rule.taken)]
                text = self._derive(rule.expression, rng, depth - (not rule.terminal), keys)
                if rule.open_key:
                    if text in keys[-1]:
                        raise KeyTwice(text)
                    keys[-1].add(text)
                return text
            case Sequence(items):
                return "".join(self._derive(item, rng, depth, keys) for item in items)
            case Alternation(branches):
                options = list(branches)
                if depth <= 0:
                    least = min(self._least(branch, self._shortest) for branch in branches)
                    options = [branch for branch in branches if self._least(branch, self._shortest) == least]
                return self._derive(rng.choice(options), rng, depth, keys)
            case Repeat(item, least, most):
                more = 0 if depth <= 0 else min(rng.choice([0, 0, 1, 2, 5]), 9 if most is None else most - least)
                return "".join(self._derive(item, rng, depth, keys) for _ in range(least + more))
            case Chars(members):
                plain = members & _PLAIN
                ranges = (plain if plain and rng.random() < 0.8 else members).ranges
                return chr(rng.randint(*rng.choice(ranges)))
        return expression.text

    def accepts(self, text: str) -> bool:
        """Whether the root derives the text; keys that repeat are not looked at."""
        self._known: dict[tuple[str, int], frozenset[int]] = {}
        return len(text) in self._ends(Reference(self._grammar.root), text, 0)

    def _ends(self, expression: Expression, text: str, begin: int) -> frozenset[int]:
        match expression:
            case Reference(name):
                if (name, begin) not in self._known:
                    rule = self._grammar.rules[name]
                    found = self._unit(name, text, begin) if rule.terminal else self._ends(rule.expression, text, begin)
                    self._known[name, begin] = found
                return self._known[name, begin]
            case Sequence(items):
                ends = frozenset({begin})
                for item in items:
                    ends = frozenset(last for end in ends for last in self._ends(item, text, end))
                return ends
            case Alternation(branches):
                return frozenset(end for branch in branches for end in self._ends(branch, text, begin))
            case Repeat(item, least, most):
                ends, found, count = frozenset({begin}), set[int](), 0
                while ends:
                    found |= ends if count >= least else set()
                    if most is not None and count >= most:
                        break
                    ends = frozenset(last for end in ends for last in self._ends(item, text, end)) - (
                        found if count >= least else frozenset()
                    )
                    count += 1
                return frozenset(found)
            case Chars(members):
                return frozenset({begin + 1} if begin < len(text) and ord(text[begin]) in members else ())
        return frozenset({begin + len(expression.text)} if text.startswith(expression.text, begin) else ())

    def _unit(self, name: str, text: str, begin: int) -> frozenset[int]:
        machine: Machine = self._machine(name)
        states, ends = machine.closure([0]), set[int]()
        for position in range(begin, len(text) + 1):
            if 1 in states:
                ends.add(position)
            if position == len(text) or not states:
                break
            states = machine.step(states, ord(text[position]))
        return frozenset(ends)
