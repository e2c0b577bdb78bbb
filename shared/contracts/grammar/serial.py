"""Grammars as JSON, for the folder of a compiled contract."""

from __future__ import annotations

import json
from typing import Any

from shared.contracts.grammar.charset import CharSet
from shared.contracts.grammar.expression import Alternation, Chars, Expression, Reference, Repeat, Sequence, Text
from shared.contracts.grammar.grammar import Grammar, Rule

_Json = Any  # our own JSON: lists whose first member names their kind


def grammar_to_json(grammar: Grammar) -> bytes:
    """Inverse of `grammar_from_json`. Sets of characters are written once and referred to by number."""
    sets: dict[CharSet, int] = {}
    rules = {
        name: {
            "expression": _written(rule.expression, sets),
            "terminal": rule.terminal,
            "open_key": rule.open_key,
            "taken": None if rule.taken is None else sorted(rule.taken),
        }
        for name, rule in grammar.rules.items()
    }
    body = {"root": grammar.root, "sets": [chars.ranges for chars in sets], "rules": rules}
    return json.dumps(body, separators=(",", ":")).encode()


def grammar_from_json(data: bytes) -> Grammar:
    """Reads what `grammar_to_json` wrote; equal sets and equal texts become one object each."""
    body: _Json = json.loads(data)
    sets = [Chars(CharSet(tuple((low, high) for low, high in ranges))) for ranges in body["sets"]]
    rules = {
        name: Rule(
            _read(rule["expression"], sets),
            terminal=rule["terminal"],
            open_key=rule["open_key"],
            taken=None if rule["taken"] is None else frozenset(rule["taken"]),
        )
        for name, rule in body["rules"].items()
    }
    return Grammar(rules, body["root"])


def _written(expression: Expression, sets: dict[CharSet, int]) -> _Json:
    match expression:
        case Chars(chars):
            return ["chars", sets.setdefault(chars, len(sets))]
        case Text(text):
            return text
        case Reference(rule):
            return ["rule", rule]
        case Sequence(items):
            return ["sequence", *(_written(item, sets) for item in items)]
        case Alternation(branches):
            return ["alternation", *(_written(branch, sets) for branch in branches)]
        case Repeat(item, least, most):
            return ["repeat", _written(item, sets), least, most]
    raise AssertionError(expression)


def _read(body: _Json, sets: list[Chars]) -> Expression:
    match body:
        case str():
            return Text(body)
        case ["chars", number]:
            return sets[int(number)]
        case ["rule", name]:
            return Reference(name)
        case ["sequence", *items]:
            return Sequence(tuple(_read(item, sets) for item in items))
        case ["alternation", *branches]:
            return Alternation(tuple(_read(branch, sets) for branch in branches))
        case ["repeat", item, least, most]:
            return Repeat(_read(item, sets), least, most)
    raise ValueError(f"no expression: {str(body)[:80]}")
