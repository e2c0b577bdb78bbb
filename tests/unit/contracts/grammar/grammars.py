"""Hand-made grammars: recursive, open, long, branching; and small random ones with their languages written out."""

from __future__ import annotations

import itertools
from functools import cache

from hypothesis import strategies as st

from shared.contracts.grammar.charset import DIGIT, ENCODABLE, CharSet
from shared.contracts.grammar.expression import (
    Alternation,
    Chars,
    Expression,
    Reference,
    Repeat,
    Sequence,
    Text,
    optional,
)
from shared.contracts.grammar.grammar import Grammar, Rule
from shared.contracts.grammar_machine import GrammarMachine
from tests.unit.contracts.sample import vocabulary

_PLAIN = Chars(ENCODABLE - CharSet.chars('"\\\b\t\n\f\r'))


def string(least: int = 0, most: int | None = None) -> Sequence:
    """A JSON string without escapes."""
    return Sequence((Text('"'), Repeat(_PLAIN, least, most), Text('"')))


def separated(item: Expression, least: int = 0) -> Expression:
    """Items with commas between them."""
    more = Sequence((item, Repeat(Sequence((Text(","), item)), max(least - 1, 0), None)))
    return more if least else optional(more)


def json_values(root: str, *, min_keys: int = 0, key: Expression | None = None) -> Grammar:
    """Any JSON; in objects `"name"` is taken, and there are at least `min_keys` other keys."""
    member = Sequence((Reference("key"), Text(":"), Reference("value")))
    positive = Sequence((Chars(CharSet.chars("123456789")), Repeat(Chars(DIGIT), 0, 5)))
    kinds = (Reference("string"), Reference("number"), Reference("array"), Reference("object"), Text("null"))
    rules = {
        "string": Rule(string(), terminal=True),
        "key": Rule(key or string(), terminal=True, open_key=True),
        "number": Rule(Sequence((optional(Text("-")), Alternation((Text("0"), positive)))), terminal=True),
        "object": Rule(
            Sequence((Text("{"), separated(member, min_keys), Text("}"))), taken=frozenset({'"name"', '"n"'})
        ),
        "array": Rule(Sequence((Text("["), separated(Reference("value")), Text("]")))),
        "value": Rule(Alternation(kinds)),
    }
    return Grammar(rules, root)


def records() -> Grammar:
    """A long string, and two records of either of two kinds, one of them much dearer."""
    cheap = Sequence((Text('{"kind":"x","text":'), Reference("text"), Text("}")))
    dear = Sequence((Text('{"kind":"yy","of":"abcdefghijklmnopqrstuvwxyz","text":'), Reference("text"), Text("}")))
    record = Reference("record")
    return Grammar(
        {
            "text": Rule(string(3, 1000), terminal=True),
            "record": Rule(Alternation((cheap, dear))),
            "root": Rule(
                Sequence((Text('{"a":'), Reference("text"), Text(',"b":['), record, Text(","), record, Text("]}")))
            ),
        },
        "root",
    )


GRAMMARS = {
    "any value": json_values("value"),
    "open map": json_values("object"),
    "at least three keys": json_values("object", min_keys=3),
    "few possible keys": json_values("object", key=Sequence((Text('"'), Chars(CharSet.chars("nabc")), Text('"')))),
    "nested arrays": json_values("array"),
    "records": records(),
}


@cache
def machine(name: str) -> GrammarMachine:
    """The machine of one of `GRAMMARS` over the test vocabulary."""
    return GrammarMachine.of(GRAMMARS[name], vocabulary())


_LEAVES = st.sampled_from(
    [
        Text("a"),
        Text("b"),
        Text("ab"),
        Text("ba"),
        Chars(CharSet.chars("ab")),
        Text("["),
        Sequence(()),
        Reference("leaf"),
    ]
)
_NESTED = Sequence((Text("["), Reference("root"), Text("]")))


def _grown(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    counts = st.sampled_from([(0, 1), (0, 2), (1, 3), (2, 2), (0, None), (1, None)])
    return st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda items: Sequence(tuple(items))),
        st.lists(inner, min_size=1, max_size=3).map(lambda items: Alternation(tuple(items))),
        st.tuples(inner, counts).map(lambda pair: Repeat(pair[0], *pair[1])),
        st.just(_NESTED),
    )


def small_grammars() -> st.SearchStrategy[Grammar]:
    """Grammars over `a`, `b`, `[` and `]` whose root may hold itself in brackets."""
    expressions = st.recursive(_LEAVES, _grown, max_leaves=6)
    return expressions.map(
        lambda body: Grammar(
            {"leaf": Rule(Alternation((Text("aa"), Text("b"))), terminal=True), "root": Rule(body)}, "root"
        )
    )


def language(grammar: Grammar, longest: int) -> set[str]:
    """Every text of a grammar of at most `longest` characters: a fixpoint over sets of texts, nothing clever."""
    known: dict[str, set[str]] = {name: set() for name in grammar.rules}
    while True:
        grown = {name: _texts(rule.expression, known, longest) for name, rule in grammar.rules.items()}
        if grown == known:
            return known[grammar.root]
        known = grown


def _texts(expression: Expression, known: dict[str, set[str]], longest: int) -> set[str]:
    match expression:
        case Chars(chars):
            return {char for char in "ab[]" if ord(char) in chars}
        case Text(text):
            return {text} if len(text) <= longest else set()
        case Reference(rule):
            return known[rule]
        case Sequence(items):
            found = {""}
            for item in items:
                found = _joined(found, _texts(item, known, longest), longest)
            return found
        case Alternation(branches):
            return set().union(*(_texts(branch, known, longest) for branch in branches))
        case Repeat(item, least, most):
            return _repeated(_texts(item, known, longest), least, most, longest)
    raise AssertionError(expression)


def _repeated(once: set[str], least: int, most: int | None, longest: int) -> set[str]:
    rows, times = {""}, 0
    found = {""} if least == 0 else set()
    while most is None or times < most:
        rows, times = _joined(rows, once, longest), times + 1
        before = len(found)
        if times >= least:
            found |= rows
            if most is None and len(found) == before:
                break
    return found


def _joined(left: set[str], right: set[str], longest: int) -> set[str]:
    return {a + b for a in left for b in right if len(a) + len(b) <= longest}


def every_text(longest: int) -> list[str]:
    """All texts over `a`, `b`, `[` and `]` of at most `longest` characters."""
    return ["".join(row) for size in range(longest + 1) for row in itertools.product("ab[]", repeat=size)]
