"""A grammar read literally, slowly and independently of the engines: which texts it derives."""

from __future__ import annotations

from functools import cache

from shared.contracts.grammar.expression import Alternation, Chars, Expression, Reference, Repeat, Sequence
from shared.contracts.grammar.grammar import Grammar
from shared.contracts.grammar.machine import Machine


class Oracle:
    """Membership for one grammar."""

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._machine = cache(lambda rule: Machine.of(grammar.rules[rule].expression))

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
