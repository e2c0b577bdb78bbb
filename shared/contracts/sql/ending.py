"""What follows WHERE in canonical spelling: GROUP BY, HAVING, ORDER BY, LIMIT and OFFSET."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from shared.contracts.sql.boolean import Atom, disjunction
from shared.contracts.sql.item import (
    is_aggregate,
    is_arithmetic,
    write_aggregate,
    write_arithmetic,
    write_column,
    write_item,
)
from shared.contracts.sql.predicate import OPERATORS, select_of
from shared.contracts.sql.refusal import violated
from shared.contracts.sql.schema import ColumnKind
from shared.contracts.sql.scope import NameScope
from shared.contracts.sql.value import literal_value, write_value

_MAX_LIMIT = 9_999
_NULLS_FIRST = {"sqlite": (True, False), "postgres": (False, True), "mysql": (True, False), "duckdb": (False, False)}
"""Whether NULL comes first in ascending and in descending order, where a statement does not say."""
_Node = Any  # sqlglot ships no usable types
Subquery = Callable[[_Node, NameScope], str]


class EndingWriter:
    """Writes the end of one SELECT. `subquery`, where there is one, writes what HAVING compares an aggregate with."""

    def __init__(self, select: _Node, scope: NameScope, subquery: Subquery | None = None) -> None:
        self._select, self._scope, self._subquery = select, scope, subquery
        self._is_grouped = select.args.get("group") is not None
        self._is_strict = scope.schema.is_strict

    def write(self) -> str:
        """Raises `InvalidInput` (`CONTRACT_VIOLATED`) for an end that the language has not."""
        text, group = "", self._select.args.get("group")
        if self._is_strict:
            text = self._strict_group(group)
        elif group is not None:
            keys = [write_column(self._resolve_key(node), self._scope).text for node in group.expressions]
            text = f" GROUP BY {', '.join(keys)}"
        having = self._select.args.get("having")
        if having is not None:
            if group is None:
                raise violated(["HAVING without GROUP BY"])
            groups = disjunction([having.this])
            text += " HAVING " + " OR ".join(" AND ".join(self._having(atom) for atom in part) for part in groups)
        order = self._select.args.get("order")
        if order is not None:
            text += f" ORDER BY {', '.join(self._order_key(node) for node in order.expressions)}"
        return text + self._limit("limit", "LIMIT", 1) + self._limit("offset", "OFFSET", 0)

    def _having(self, atom: Atom) -> str:
        node = atom.node
        if isinstance(node, exp.Between) and _is_measure(_aliased(node.this, self._select)):
            measure = self._measure(_aliased(node.this, self._select))
            low, high = (self._number(node.args[side], measure) for side in ("low", "high"))
            return f"{measure} {'NOT ' if atom.is_negated else ''}BETWEEN {low} AND {high}"
        if type(node) not in OPERATORS:
            raise violated([f"HAVING {node.sql(dialect='sqlite')[:60]}"])
        left, right = (_aliased(side, self._select) for side in (node.this, node.expression))
        operator = OPERATORS[type(node)][1 if atom.is_negated else 0]
        if not _is_measure(left):
            left, right = right, left
            operator = next(flipped for name, _, flipped in OPERATORS.values() if name == operator)
        if not _is_measure(left):
            raise violated([f"HAVING {node.sql(dialect='sqlite')[:60]}: neither side is an aggregate"])
        measure = self._measure(left)
        return f"{measure} {operator} {self._compared(right, node, measure)}"

    def _compared(self, right: _Node, node: _Node, measure: str) -> str:
        nested = select_of(right)
        if self._subquery is not None and nested is not None:
            return f"({self._subquery(nested, self._scope)})"
        if self._subquery is not None and _is_measure(right):
            return self._measure(right)
        value = literal_value(right)
        if value is None or value[0] is not ColumnKind.NUMBER:
            raise violated([f"HAVING {node.sql(dialect='sqlite')[:60]}: an aggregate is compared with a number only"])
        return write_value(value, ColumnKind.NUMBER, measure)

    def _measure(self, node: _Node) -> str:
        if is_arithmetic(node):
            return write_arithmetic(node, self._scope)
        return write_aggregate(node, self._scope).text

    def _number(self, node: _Node, measure: str) -> str:
        value = literal_value(node)
        if value is None or value[0] is not ColumnKind.NUMBER:
            raise violated([f"{measure} BETWEEN anything but numbers"])
        return write_value(value, ColumnKind.NUMBER, measure)

    def _order_key(self, node: _Node) -> str:
        descending = bool(node.args.get("desc"))
        dialect = self._scope.schema.dialect
        if bool(node.args.get("nulls_first")) != _NULLS_FIRST[dialect][descending]:
            raise violated([f"NULLS FIRST or LAST other than {'SQLite' if dialect == 'sqlite' else dialect}'s own"])
        item = _resolve(node.this, self._select)
        if not self._is_grouped and (is_aggregate(item) or item.find(exp.AggFunc)):
            raise violated(["ORDER BY an aggregate without GROUP BY"])
        text = write_item(item, self._scope).text
        if self._is_strict:
            text = self._strict_order(text, is_total=item.find(exp.AggFunc) is not None)
        return text + (" DESC" if descending else "")

    def _strict_group(self, group: _Node | None) -> str:
        """GROUP BY the plain items of the list by position, or columns where there are totals only."""
        plain = self._plain_items()
        is_total = len(plain) < len(self._select.expressions)
        if group is None:
            if plain and is_total:
                raise violated([f"{next(iter(plain))} stands beside an aggregate without GROUP BY"])
            return ""
        keys = {write_item(self._resolve_key(node), self._scope).text for node in group.expressions}
        if not plain:
            return " GROUP BY " + ", ".join(
                write_column(self._resolve_key(node), self._scope).text for node in group.expressions
            )
        if keys != set(plain.values()):
            raise violated([f"GROUP BY {', '.join(sorted(keys))} is not exactly what stands beside the aggregates"])
        return f" GROUP BY {', '.join(map(str, plain))}"

    def _strict_order(self, text: str, *, is_total: bool) -> str:
        """A plain value that was grouped is named by its position."""
        if self._select.args.get("distinct"):
            raise violated(["ORDER BY beside DISTINCT"])
        if not self._is_grouped or is_total:
            return text
        position = next((number for number, item in self._plain_items().items() if item == text), None)
        if position is None:
            raise violated([f"ORDER BY {text}, which is not in the SELECT list"])
        return str(position)

    def _plain_items(self) -> dict[int, str]:
        """The items without aggregates, by position; a star means that nothing is grouped."""
        items = self._select.expressions
        if any(item.is_star for item in items):
            if self._is_grouped:
                raise violated(["a star beside GROUP BY"])
            return dict.fromkeys(range(len(items)), "*")
        return {
            number: write_item(item.unalias().unnest(), self._scope).text
            for number, item in enumerate(items, 1)
            if item.find(exp.AggFunc) is None and not isinstance(item.unalias(), exp.Literal)
        }

    def _resolve_key(self, node: _Node) -> _Node:
        """In GROUP BY a column wins over an alias, as in SQLite; in ORDER BY the alias wins."""
        node = node.unnest()
        if isinstance(node, exp.Column) and self._scope.knows(node):
            return node
        return _resolve(node, self._select)

    def _limit(self, clause: str, name: str, least: int) -> str:
        node = self._select.args.get(clause)
        if node is None:
            return ""
        value = literal_value(node.expression)
        if value is None or value[0] is not ColumnKind.NUMBER or not value[1].isdigit():
            raise violated([f"{name} with anything but one whole number"])
        number = int(value[1]) if len(value[1]) < 10 else _MAX_LIMIT + 1
        if not least <= number <= _MAX_LIMIT:
            raise violated([f"{name} {value[1][:12]}; the language has {least} to {_MAX_LIMIT}"])
        return f" {name} {number}" if number else ""


def _is_measure(node: _Node) -> bool:
    return is_aggregate(node) or is_arithmetic(node)


def _resolve(node: _Node, select: _Node) -> _Node:
    """What an alias or a position in the SELECT list stands for."""
    node = node.unnest()
    items = select.expressions
    if isinstance(node, exp.Literal) and not node.is_string and node.this.isdigit():
        position = int(node.this)
        if not 1 <= position <= len(items) or any(item.is_star for item in items[:position]):
            raise violated([f"position {position} of the SELECT list"])
        return items[position - 1].unalias().unnest()
    return _aliased(node, select)


def _aliased(node: _Node, select: _Node) -> _Node:
    node = node.unnest()
    if isinstance(node, exp.Column) and not node.table:
        for item in select.expressions:
            if isinstance(item, exp.Alias) and item.alias.lower() == node.name.lower():
                return item.this.unnest()
    return node
