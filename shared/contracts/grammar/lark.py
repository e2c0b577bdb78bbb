"""Writes a grammar in the Lark dialect of llguidance. No whitespace is allowed anywhere that a rule does not name."""

from __future__ import annotations

import json
from collections.abc import Iterator

from shared.contracts.grammar.expression import (
    EMPTY,
    Alternation,
    Chars,
    Expression,
    Reference,
    Repeat,
    Sequence,
    Text,
    literal,
    references,
    regex,
)
from shared.contracts.grammar.grammar import Grammar


def lark(grammar: Grammar) -> str:
    """The grammar's rules, `start` first: `r<n>` for a rule, `T<n>` for a terminal one.

    An open key is written without those that its map has taken: the parser would go on as if a named member were any
    other, too, and offer values of the wrong kind. Which keys are used otherwise is for the tracker to know.
    """
    names = {name: f"{'T' if rule.terminal else 'r'}{n}" for n, (name, rule) in enumerate(grammar.rules.items())}
    taken = _taken(grammar)
    keys: dict[tuple[str, frozenset[str]], str] = {}
    lines = [f"start: {names[grammar.root]}"]
    for name, rule in grammar.rules.items():
        if rule.terminal:
            lines.append(f"{names[name]}: /{regex(rule.expression)}/")
            continue
        own = dict(names)
        for key in dict.fromkeys(references(rule.expression)) if taken.get(name) else ():
            if grammar.rules[key].open_key:
                own[key] = keys.setdefault((key, taken[name]), f"K{len(keys)}")
        lines.append(f"{names[name]}: {''.join(_written(rule.expression, own))}")
    for (key, texts), written in keys.items():
        named = "|".join(literal(text) for text in sorted(texts))
        lines.append(f"{written}: /{regex(grammar.rules[key].expression)}/ & ~/(?:{named})/")
    return "\n".join(lines) + "\n"


def _taken(grammar: Grammar) -> dict[str, frozenset[str]]:
    """By rule: the keys that the map around it has taken, those that all have where it stands in several maps."""
    found: dict[str, frozenset[str]] = {}
    for scope, rule in grammar.rules.items():
        stack = [scope] if rule.taken is not None else []
        seen = set(stack)
        while stack:
            name = stack.pop()
            found[name] = found.get(name, rule.taken or frozenset()) & (rule.taken or frozenset())
            for other in references(grammar.rules[name].expression):
                below = grammar.rules[other]
                if other not in seen and below.taken is None and not below.terminal:
                    seen.add(other)
                    stack.append(other)
    return found


def _written(expression: Expression, names: dict[str, str]) -> Iterator[str]:
    match expression:
        case Reference(rule):
            yield names[rule]
        case Text(text):
            yield json.dumps(text, ensure_ascii=False) if text.isprintable() else f"/{regex(expression)}/"
        case Chars():
            yield f"/{regex(expression)}/"
        case Sequence(items) if expression != EMPTY:
            for place, item in enumerate(items):
                yield " " if place else ""
                yield from _written(item, names)
        case Sequence():
            yield '""'
        case Alternation(branches):
            yield "("
            for place, branch in enumerate(branches):
                yield " | " if place else ""
                yield from _written(branch, names)
            yield ")"
        case Repeat(item, least, most):
            yield "("
            yield from _written(item, names)
            yield ")" + ({(0, None): "*", (1, None): "+", (0, 1): "?"}.get((least, most)) or _counted(least, most))


def _counted(least: int, most: int | None) -> str:
    return f"{{{least},{'' if most is None else most}}}"
