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
    regex,
)
from shared.contracts.grammar.grammar import Grammar


def lark(grammar: Grammar) -> str:
    """The grammar's rules, `start` first: `r<n>` for a rule, `T<n>` for a terminal one.

    Open keys are written as any other terminal: which of them are used is for the tracker to know.
    """
    names = {name: f"{'T' if rule.terminal else 'r'}{n}" for n, (name, rule) in enumerate(grammar.rules.items())}
    lines = [f"start: {names[grammar.root]}"]
    for name, rule in grammar.rules.items():
        if rule.terminal:
            lines.append(f"{names[name]}: /{regex(rule.expression)}/")
        else:
            lines.append(f"{names[name]}: {''.join(_written(rule.expression, names))}")
    return "\n".join(lines) + "\n"


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
