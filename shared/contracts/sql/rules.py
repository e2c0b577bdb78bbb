"""Collects the rules of a grammar, and decides whether a text is one of its texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from shared.contracts.grammar import expression as ex
from shared.contracts.grammar.expression import Alternation, Chars, Expression, Reference, Repeat, Sequence, Text
from shared.contracts.grammar.grammar import Grammar, Rule
from shared.contracts.sql.part import python_regex


class RuleBook:
    """Rules by name, each written once."""

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}

    def add(self, name: str, *branches: Expression, terminal: bool = False) -> Reference:
        """One more rule: any of the branches."""
        assert name not in self.rules, name
        self.rules[name] = Rule(one_of(branches), terminal=terminal)
        return Reference(name)

    def grammar(self, root: Reference) -> Grammar:
        """The rules that the root reaches."""
        reached = Grammar(self.rules, root.rule).calls
        return Grammar(_with_shared_units({name: self.rules[name] for name in reached}), root.rule)


def _with_shared_units(rules: Mapping[str, Rule]) -> dict[str, Rule]:
    """The rules with each text that occurs twice written once: engines pay for every character of every place."""
    counts = Counter(text for rule in rules.values() if not rule.terminal for text in _texts(rule.expression))
    shared = {text: Reference(f"unit {text}") for text, count in counts.items() if count > 1 and len(text) > 1}
    units = {reference.rule: Rule(Text(text), terminal=True) for text, reference in shared.items()}
    return units | {
        name: rule if rule.terminal else replace(rule, expression=_referring(rule.expression, shared))
        for name, rule in rules.items()
    }


def _texts(expression: Expression) -> Iterator[str]:
    match expression:
        case Text(text):
            yield text
        case Sequence(parts) | Alternation(parts):
            for part in parts:
                yield from _texts(part)
        case Repeat(item):
            yield from _texts(item)


def _referring(expression: Expression, shared: Mapping[str, Reference]) -> Expression:
    match expression:
        case Text(text):
            return shared.get(text, expression)
        case Sequence(items):
            return Sequence(tuple(_referring(item, shared) for item in items))
        case Alternation(branches):
            return Alternation(tuple(_referring(branch, shared) for branch in branches))
        case Repeat(item, least, most):
            return Repeat(_referring(item, shared), least, most)
    return expression


def one_of(branches: Iterable[Expression]) -> Expression:
    """An alternation, or its only branch."""
    kept = tuple(branches)
    return kept[0] if len(kept) == 1 else Alternation(kept)


def units(*parts: str | Expression) -> Expression:
    """One after the other; each string is a lexical unit."""
    return ex.sequence(Text(part) if isinstance(part, str) else part for part in parts)


def texts(*words: str) -> Expression:
    """One of these units."""
    return one_of(Text(word) for word in words)


def listed(item: Expression, separator: str | Expression) -> Expression:
    """`item` once or more, separated."""
    return ex.sequence((item, ex.repeat(units(separator, item), 0, None)))


class Membership:
    """Whether texts belong to a grammar without left recursion.

    For each rule and place in the text the set of places where the rule may end, memoised: a recursive-descent
    recogniser that follows all alternatives (general, as in Johnson 1995, "Memoization in top-down parsing").
    """

    def __init__(self, grammar: Grammar) -> None:
        self._rules: Mapping[str, Rule] = grammar.rules
        self._root = grammar.root
        self._patterns = {
            name: re.compile(python_regex(rule.expression)) for name, rule in grammar.rules.items() if rule.terminal
        }

    def contains(self, text: str) -> bool:
        """Whether the grammar derives exactly this text. `RecursionError` when it nests too deeply."""
        return len(text) in _Reading(self._rules, self._patterns, text).rule(self._root, 0)


class _Reading:
    def __init__(self, rules: Mapping[str, Rule], patterns: Mapping[str, re.Pattern[str]], text: str) -> None:
        self._rules, self._patterns, self._text = rules, patterns, text
        self._known: dict[tuple[str, int], frozenset[int]] = {}

    def rule(self, name: str, begin: int) -> frozenset[int]:
        key = name, begin
        if key not in self._known:
            pattern = self._patterns.get(name)
            if pattern is None:
                self._known[key] = frozenset(self._ends(self._rules[name].expression, begin))
            else:  # a lexical unit is read as far as it goes
                found = pattern.match(self._text, begin)
                self._known[key] = frozenset((found.end(),) if found else ())
        return self._known[key]

    def _ends(self, expression: Expression, begin: int) -> Iterable[int]:
        match expression:
            case Text(text):
                return (begin + len(text),) if self._text.startswith(text, begin) else ()
            case Reference(rule):
                return self.rule(rule, begin)
            case Alternation(branches):
                return {end for branch in branches for end in self._ends(branch, begin)}
            case Sequence(items):
                return self._after(items, begin)
            case Repeat(item, least, most):
                return self._repeated(item, least, most, begin)
            case Chars(members):
                here = begin < len(self._text) and ord(self._text[begin]) in members
                return (begin + 1,) if here else ()

    def _after(self, items: Iterable[Expression], begin: int) -> set[int]:
        places = {begin}
        for item in items:
            places = {end for place in places for end in self._ends(item, place)}
            if not places:
                break
        return places

    def _repeated(self, item: Expression, least: int, most: int | None, begin: int) -> set[int]:
        reached, places, count = ({begin} if least == 0 else set()), {begin}, 0
        seen = {begin}
        while places and (most is None or count < most):
            count += 1
            places = {end for place in places for end in self._ends(item, place)}
            if count >= least:
                places -= seen
                seen |= places
                reached |= places
        return reached
