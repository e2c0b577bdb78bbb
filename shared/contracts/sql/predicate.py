"""One condition in canonical spelling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from shared.contracts.sql.boolean import Atom
from shared.contracts.sql.item import is_arithmetic, write_arithmetic
from shared.contracts.sql.refusal import violated
from shared.contracts.sql.schema import ColumnKind
from shared.contracts.sql.scope import ColumnUse, NameScope
from shared.contracts.sql.value import literal_value, write_text, write_value

OPERATORS: dict[type, tuple[str, str, str]] = {
    exp.EQ: ("=", "<>", "="),
    exp.NEQ: ("<>", "=", "<>"),
    exp.LT: ("<", ">=", ">"),
    exp.GT: (">", "<=", "<"),
    exp.LTE: ("<=", ">", ">="),
    exp.GTE: (">=", "<", "<="),
}
"""Each comparison as written, negated, and with its sides exchanged."""

_Node = Any  # sqlglot ships no usable types
Value = tuple[ColumnKind, str]


@dataclass(frozen=True)
class Predicate:
    """Canonical text and how many levels of subqueries it holds."""

    text: str
    depth: int = 0


class PredicateWriter:
    """Writes the atoms of one SELECT's condition. `subquery` writes a nested SELECT and gives its own depth."""

    def __init__(
        self,
        scope: NameScope,
        subquery: Callable[[_Node, NameScope], Predicate],
        *,
        compares_columns: bool,
    ) -> None:
        self._scope = scope
        self._subquery = subquery
        self._compares_columns = compares_columns

    def write(self, atom: Atom) -> Predicate:
        """Raises `InvalidInput` (`CONTRACT_VIOLATED`) for a condition that the language has not."""
        node = atom.node
        if type(node) in OPERATORS:
            return self._comparison(node, is_negated=atom.is_negated)
        no = "NOT " if atom.is_negated else ""
        if isinstance(node, exp.In):
            return self._membership(node, no)
        if isinstance(node, exp.Between):
            use = self._column(node.this)
            low, high = self._literals([node.args["low"], node.args["high"]], use)
            return Predicate(f"{use.text} {no}BETWEEN {low} AND {high}")
        if isinstance(node, exp.Like):
            return self._like(node, "NOT " if atom.is_negated != bool(node.args.get("negate")) else "")
        if isinstance(node, exp.Exists):
            inner = self._subquery(select_of(node.this), self._scope)
            return Predicate(f"{no}EXISTS ({inner.text})", inner.depth + 1)
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
            no = "NOT " if atom.is_negated != bool(node.args.get("negate")) else ""
            return Predicate(f"{self._column(node.this).text} IS {no}NULL")
        raise violated([f"a condition of this kind: {node.sql(dialect='sqlite')[:80]}"])

    def _comparison(self, node: _Node, *, is_negated: bool) -> Predicate:
        plain, negated, _ = OPERATORS[type(node)]
        operator = negated if is_negated else plain
        left, right = node.this.unnest(), node.expression.unnest()
        if self._use(left) is None and not is_arithmetic(left):
            left, right = right, left
            operator = next(flipped for name, _, flipped in OPERATORS.values() if name == operator)
        if is_arithmetic(left) or is_arithmetic(right):
            return Predicate(f"{self._number(left)} {operator} {self._number(right)}")
        use = self._column(left)
        nested = select_of(right)
        if nested is not None:
            inner = self._subquery(nested, self._scope)
            return Predicate(f"{use.text} {operator} ({inner.text})", inner.depth + 1)
        other = self._use(right)
        if other is not None:
            return self._between_columns(use, operator, other)
        return Predicate(f"{use.text} {operator} {self._literal(right, use)}")

    def _number(self, node: _Node) -> str:
        """A side of a comparison with arithmetic; aggregates stand in HAVING only."""
        if node.find(exp.AggFunc):
            raise violated([f"{node.sql(dialect='sqlite')[:60]}: an aggregate in WHERE"])
        if is_arithmetic(node):
            return write_arithmetic(node, self._scope)
        use = self._use(node)
        if use is not None and use.column.kind in (ColumnKind.NUMBER, ColumnKind.ANY):
            return use.text
        value = self._value(node)
        if value is None or value[0] is not ColumnKind.NUMBER:
            raise violated([f"arithmetic is compared with {node.sql(dialect='sqlite')[:60]}, which is no number"])
        return write_value(value, ColumnKind.NUMBER, "arithmetic")

    def _between_columns(self, left: ColumnUse, operator: str, right: ColumnUse) -> Predicate:
        text = f"{left.text} {operator} {right.text}"
        if not self._compares_columns:
            raise violated([f"{text}: two columns are compared inside a subquery"])
        if not left.column.kind.takes(right.column.kind):
            kinds = " and a ".join(sorted((left.column.kind, right.column.kind)))
            raise violated([f"{text}: a {kinds} are compared"])
        return Predicate(text)

    def _membership(self, node: _Node, no: str) -> Predicate:
        use = self._column(node.this)
        query = node.args.get("query")
        nested = select_of(query) if query is not None else None
        if nested is not None:
            inner = self._subquery(nested, self._scope)
            return Predicate(f"{use.text} {no}IN ({inner.text})", inner.depth + 1)
        values = self._literals(node.expressions, use)
        if not values:
            raise violated([f"{node.sql(dialect='sqlite')[:80]}: IN needs literals or a SELECT"])
        return Predicate(f"{use.text} {no}IN ({', '.join(values)})")

    def _like(self, node: _Node, no: str) -> Predicate:
        use = self._column(node.this)
        value = self._value(node.expression)
        is_text = use.column.kind in (ColumnKind.TEXT, ColumnKind.ANY)
        if not is_text or value is None or value[0] is not ColumnKind.TEXT:
            raise violated([f"{node.sql(dialect='sqlite')[:80]}: LIKE needs a text column and a string"])
        if use.column.values:
            raise violated([f"LIKE on {use.text}, which is compared with its listed values only"])
        return Predicate(f"{use.text} {no}LIKE {write_text(value[1])}")

    def _literals(self, nodes: list[_Node], use: ColumnUse) -> list[str]:
        values = [self._literal(node, use) for node in nodes]
        if len({value.startswith("'") for value in values}) > 1:
            raise violated([f"{use.text} is compared with numbers and texts at once"])
        return values

    def _literal(self, node: _Node, use: ColumnUse) -> str:
        value = self._value(node)
        if value is None:
            raise violated([f"{use.text} is compared with {node.sql(dialect='sqlite')[:60]}, which is no literal"])
        text = write_value(value, use.column.kind, use.text, is_strict=self._scope.schema.is_strict)
        if use.column.values and text.startswith("'") and text not in map(write_text, use.column.values):
            raise violated([f"{use.text} is compared with {text[:60]}, which is none of its listed values"])
        return text

    def _value(self, node: _Node) -> Value | None:
        node = node.unnest()
        if isinstance(node, exp.Column) and not node.table and self._scope.find(node) is None:
            return ColumnKind.TEXT, node.name
        return literal_value(node)

    def _use(self, node: _Node) -> ColumnUse | None:
        return self._scope.find(node) if isinstance(node, exp.Column) else None

    def _column(self, node: _Node) -> ColumnUse:
        node = node.unnest()
        use = self._use(node)
        if use is None:
            raise violated([f"{node.sql(dialect='sqlite')[:60]} stands where a column must"])
        return use


def select_of(node: _Node) -> _Node | None:
    """The SELECT between parentheses; None when something else is there."""
    while isinstance(node, exp.Subquery | exp.Paren):
        node = node.this
    return node if isinstance(node, exp.Query) else None
