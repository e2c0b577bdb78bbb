"""From the model to a grammar: one unit for each JSON token, one rule for each goal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.contracts.grammar.expression import (
    EMPTY,
    NOTHING,
    Expression,
    Reference,
    Text,
    alternation,
    optional,
    repeat,
    sequence,
)
from shared.contracts.grammar.grammar import Grammar, Rule
from shared.contracts.grammar.language import finite_texts
from shared.contracts.json_schema.encoding import quoted
from shared.contracts.json_schema.fact import Goal, Loose
from shared.contracts.json_schema.ledger import Ledger
from shared.contracts.json_schema.member import MemberList
from shared.contracts.json_schema.model import Model
from shared.contracts.json_schema.shape import ArrayShape, LiteralShape, ObjectShape, ScalarShape
from shared.contracts.json_schema.value import canonical_json

_MAX_PLACES_OF_CONTAINED = 64
_MAX_DISTINCT = 8
"""Sets of up to this many values are written out as sets: 256 rules."""


class Emission:
    """Writes the grammar of a model; `ledger` learns what is only checked."""

    def __init__(self, model: Model, ledger: Ledger) -> None:
        self._model, self._ledger = model, ledger
        self._rules: dict[str, Rule] = {}
        self._terminals: dict[tuple[Expression, bool], str] = {}
        self._values: dict[Goal, Expression] = {}
        self._pending: list[tuple[str, Goal]] = []

    def grammar(self) -> Grammar:
        """The canonical texts of every value of the model; its root has at least one."""
        root = self.value(self._model.root)
        while self._pending:
            name, goal = self._pending.pop()
            self._rules[name] = Rule(self._body(goal))
        if isinstance(root, Reference):
            return Grammar(self._rules, root.rule)
        self._rules["root"] = Rule(root)
        return Grammar(self._rules, "root")

    def value(self, goal: Goal) -> Expression:
        """A reference to the rule of a goal; scalars need no rule of their own around their terminal."""
        if goal not in self._values:
            shapes = self._model.shapes.get(goal, ())
            if not shapes:
                self._values[goal] = NOTHING
            elif all(self._is_scalar(shape) for shape in shapes):
                self._values[goal] = self._body(goal)
            else:
                name = f"value{len(self._values)}"
                self._values[goal] = Reference(name)
                self._pending.append((name, goal))
        return self._values[goal]

    @staticmethod
    def _is_scalar(shape: Any) -> bool:  # Any: a shape
        return isinstance(shape, ScalarShape) or (
            isinstance(shape, LiteralShape) and not isinstance(shape.value, list | dict)
        )

    def _body(self, goal: Goal) -> Expression:
        branches: list[Expression] = []
        words: list[Expression] = []
        for shape in self._model.shapes[goal]:
            self._report(shape.loose)
            match shape:
                case LiteralShape(value=value) if isinstance(value, list | dict):
                    branches.append(_literal(value))
                case LiteralShape(text=text):
                    words.append(Text(text))
                case ScalarShape(kind="string", language=language):
                    branches.append(self._terminal(quoted(language)))
                case ScalarShape(language=language):
                    branches.append(self._terminal(language))
                case ArrayShape():
                    branches.append(self._array(shape))
                case ObjectShape():
                    branches.append(self._object(shape))
        if words:
            branches.insert(0, self._terminal(alternation(words)))
        return alternation(branches)

    def _report(self, loose: Sequence[Loose]) -> None:
        for fact in loose:
            self._ledger.check(fact.place, fact.why)

    def _terminal(self, expression: Expression, *, distinct: bool = False) -> Reference:
        """A unit of the lexer; `distinct`: none of its texts occurs twice in the rule around it."""
        key = (expression, distinct)
        if key not in self._terminals:
            name = f"text{len(self._terminals)}"
            self._terminals[key] = name
            self._rules[name] = Rule(expression, terminal=True, open_key=distinct)
        return Reference(self._terminals[key])

    def _rule(self, name: str, expression: Expression, taken: frozenset[str] | None = None) -> Reference:
        name = f"{name}{len(self._rules)}"
        self._rules[name] = Rule(expression, taken=taken)
        return Reference(name)

    def _object(self, shape: ObjectShape) -> Expression:
        members = [(sequence([Text(_key(m.name)), self.value(m.goal)]), m.required) for m in shape.members]
        extras = alternation(
            sequence(
                [self._terminal(sequence([quoted(extra.names), Text(":")]), distinct=True), self.value(extra.goal)]
            )
            for extra in shape.extras
        )
        body = MemberList(members, extras, shape.least, shape.most, self._rule).expression()
        if body is None:
            self._report(shape.sizes)
            body = MemberList(members, extras, 0, None, self._rule).expression()
        inside = sequence([Text("{"), body or EMPTY, Text("}")])
        if extras == NOTHING:
            return inside
        taken = frozenset(_key(name) for name in (*(m.name for m in shape.members), *shape.absent))
        return self._rule("object", inside, taken)

    def _array(self, shape: ArrayShape) -> Expression:
        if shape.unique:
            return self._distinct(shape)
        if shape.contains is not None:
            return _listed(self._containing(shape, self.value(shape.contains)), may_be_empty=False)
        tail: Expression = EMPTY
        rest = NOTHING if shape.rest is None else self.value(shape.rest)
        width = len(shape.prefix)
        more = None if shape.most is None else max(shape.most - width, 0)
        if rest != NOTHING and more != 0:
            tail = repeat(sequence([Text(","), rest]), max(shape.least - width, 0), more)
        prefix = shape.prefix if shape.most is None else shape.prefix[: shape.most]
        for index in reversed(range(1, len(prefix))):
            here = sequence([Text(","), self.value(prefix[index]), tail])
            tail = here if index < shape.least else optional(here)
        if prefix:
            items = sequence([self.value(prefix[0]), tail])
        elif rest != NOTHING and more != 0:
            comma = sequence([Text(","), rest])
            items = sequence([rest, repeat(comma, max(shape.least - 1, 0), None if more is None else more - 1)])
        else:
            items = EMPTY
        return _listed(items, may_be_empty=shape.least == 0)

    def _containing(self, shape: ArrayShape, contained: Expression) -> Expression:
        """Items of which one is `contained`, at any place."""
        rest = NOTHING if shape.rest is None else self.value(shape.rest)
        before, after = sequence([rest, Text(",")]), sequence([Text(","), rest])
        least, most = shape.least, shape.most
        if most is not None and most > _MAX_PLACES_OF_CONTAINED:
            self._report(shape.sizes)
            least, most = 1, None
        if most is None:
            branches = [
                sequence([repeat(before, i, i), contained, repeat(after, max(least - 1 - i, 0), None)])
                for i in range(max(least - 1, 0))
            ]
            branches.append(sequence([repeat(before, max(least - 1, 0), None), contained, repeat(after, 0, None)]))
            return alternation(branches)
        return alternation(
            sequence([repeat(before, i, i), contained, repeat(after, max(least - 1 - i, 0), most - 1 - i)])
            for i in range(most)
        )

    def _distinct(self, shape: ArrayShape) -> Expression:
        """No two items are equal: their canonical texts differ."""
        plain = ArrayShape(shape.prefix, shape.rest, shape.least, shape.most, shape.contains)
        item = None if shape.rest is None or shape.prefix or shape.contains else self._scalar_language(shape.rest)
        is_short = shape.most is not None and shape.most < 2
        if is_short or (shape.rest is None and len(shape.prefix) < 2):
            return self._array(plain)
        if item is None:
            self._ledger.check(shape.unique, "only lists of strings, numbers and literals are held to it")
            return self._array(plain)
        texts = finite_texts(item, 1_000)
        most = shape.most
        if texts is not None:
            most = len(texts) if most is None else min(most, len(texts))
            if len(texts) <= _MAX_DISTINCT:
                return _listed(self._subsets(texts, shape.least, most), may_be_empty=shape.least == 0)
        unit = self._terminal(item, distinct=True)
        items = sequence([unit, repeat(sequence([Text(","), unit]), max(shape.least - 1, 0), most and most - 1)])
        return self._rule("list", _listed(items, may_be_empty=shape.least == 0), frozenset())

    def _scalar_language(self, goal: Goal) -> Expression | None:
        shapes = self._model.shapes.get(goal, ())
        if not shapes or not all(self._is_scalar(shape) for shape in shapes):
            return None
        found: list[Expression] = []
        for shape in shapes:
            self._report(shape.loose)
            if isinstance(shape, LiteralShape):
                found.append(Text(shape.text))
            elif isinstance(shape, ScalarShape):
                found.append(quoted(shape.language) if shape.kind == "string" else shape.language)
        return alternation(found)

    def _subsets(self, texts: Sequence[str], least: int, most: int) -> Expression:
        """Lists of `least` to `most` of the texts, none twice: a rule for each set of those already there."""
        rules: dict[frozenset[str], Expression] = {}

        def after(used: frozenset[str]) -> Expression:
            if used not in rules:
                comma = [Text(",")] if used else []
                following = [
                    sequence([*comma, self._terminal(Text(text)), after(used | {text})])
                    for text in texts
                    if text not in used and len(used) < most
                ]
                if used and len(used) >= least:
                    following.append(EMPTY)
                rules[used] = self._rule("set", alternation(following)) if used else alternation(following)
            return rules[used]

        return after(frozenset())


def _key(name: str) -> str:
    return canonical_json(name) + ":"


def _listed(items: Expression, *, may_be_empty: bool) -> Expression:
    return sequence([Text("["), optional(items) if may_be_empty else items, Text("]")])


def _literal(value: Any) -> Expression:  # Any: a JSON value
    """A list or an object, token by token."""
    units: list[Expression] = []
    if isinstance(value, list):
        for index, item in enumerate(value):
            units += [*([Text(",")] if index else []), _literal(item)]
        return sequence([Text("["), *units, Text("]")])
    if isinstance(value, dict):
        for index, (key, item) in enumerate(value.items()):
            units += [*([Text(",")] if index else []), Text(_key(key)), _literal(item)]
        return sequence([Text("{"), *units, Text("}")])
    return Text(canonical_json(value))
