"""A context-free grammar over text: what every front end (JSON Schema, DDL, choices) hands to the engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from shared.contracts.grammar.call_order import finishing_order
from shared.contracts.grammar.expression import (
    NOTHING,
    Alternation,
    Expression,
    Reference,
    Repeat,
    Sequence,
    references,
    repeat,
    sequence,
)
from shared.lazy import cached_property


@dataclass(frozen=True)
class Rule:
    r"""One named part of a grammar.

    A `terminal` rule refers to no other rule and matches no empty text: a lexer reads it as one unit. In any other rule
    each `Text` and `Chars` is a unit of its own, and compound parts are written as references to terminal rules. What
    may follow a unit must not be able to continue it in a way that another unit begins: lexers are greedy and never
    step back, so `"t"` and `"t JOIN u"` must not both be units of one place.

    `open_key` marks a terminal rule whose texts are keys of an open map: within the innermost rule around it that has
    `taken` (not None), each of its texts occurs at most once and is none of `taken`. This is the one thing here that no
    context-free grammar can say; the engine keeps the keys that were used.
    """

    expression: Expression
    terminal: bool = False
    open_key: bool = False
    taken: frozenset[str] | None = None


@dataclass(frozen=True)
class Grammar:
    """Rules by name, with the one that the whole text must match."""

    rules: Mapping[str, Rule]
    root: str

    @classmethod
    def of(cls, expression: Expression) -> Grammar:
        """The grammar of a regular expression."""
        return cls({"root": Rule(expression, terminal=expression.min_length > 0)}, "root")

    @property
    def has_open_keys(self) -> bool:
        """Whether keys must be told apart while an answer is written."""
        return any(rule.open_key for rule in self.rules.values())

    @cached_property
    def calls(self) -> dict[str, tuple[str, ...]]:
        """By rule that the root reaches: those that it refers to. They stand before it unless they lead back to it."""
        below = {name: tuple(dict.fromkeys(references(rule.expression))) for name, rule in self.rules.items()}
        return {name: below[name] for name in finishing_order(below, [self.root])}

    @cached_property
    def order(self) -> tuple[str, ...] | None:
        """The reachable rules, each after those that it refers to; None when a rule refers to itself in the end."""
        places = {name: place for place, name in enumerate(self.calls)}
        is_recursive = any(places[other] >= places[name] for name, below in self.calls.items() for other in below)
        return None if is_recursive else tuple(self.calls)

    def expression(self, max_positions: int) -> Expression | None:
        """The whole language as one regular expression; None when it is not regular or takes more places.

        A language with open keys is not regular in practice: the keys used so far would be part of the state.
        """
        if self.has_open_keys or self.order is None:
            return None
        sizes: dict[str, int] = {}
        written: dict[str, Expression] = {}
        for name in self.order:
            sizes[name] = _positions(self.rules[name].expression, sizes)
            if sizes[name] > max_positions:
                return None
            written[name] = _inlined(self.rules[name].expression, written)
        return written[self.root]

    def without(self, dead: frozenset[str]) -> Grammar:
        """The grammar of the texts for which no rule in `dead` is needed; the root is none of them."""
        texts = dict.fromkeys(dead, NOTHING)
        kept = {
            name: replace(rule, expression=_inlined(rule.expression, texts))
            for name, rule in self.rules.items()
            if name not in dead
        }
        return Grammar(kept, self.root)


def _positions(expression: Expression, sizes: Mapping[str, int]) -> int:
    match expression:
        case Reference(rule):
            return sizes[rule]
        case Sequence(parts) | Alternation(parts):
            return sum(_positions(part, sizes) for part in parts)
        case Repeat(item, least, most):
            return _positions(item, sizes) * max(least, most or 1)
    return expression.positions


def _inlined(expression: Expression, written: Mapping[str, Expression]) -> Expression:
    match expression:
        case Reference(rule):
            return written.get(rule, expression)
        case Sequence(items):
            return sequence(_inlined(item, written) for item in items)
        case Alternation(branches):
            inside = (_inlined(branch, written) for branch in branches)
            return Alternation(tuple(branch for branch in inside if branch != NOTHING))
        case Repeat(item, least, most):
            return repeat(_inlined(item, written), least, most)
    return expression
