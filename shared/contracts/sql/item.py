"""Columns, aggregates and arithmetic as they stand in SELECT, GROUP BY, HAVING and ORDER BY."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from shared.contracts.sql.identifier import qualified
from shared.contracts.sql.refusal import violated
from shared.contracts.sql.schema import ColumnKind
from shared.contracts.sql.scope import ColumnUse, NameScope
from shared.contracts.sql.value import literal_value, write_number

_AGGREGATES = {exp.Count: "COUNT", exp.Max: "MAX", exp.Min: "MIN", exp.Sum: "SUM", exp.Avg: "AVG"}
_ARITHMETIC = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}
_MAX_LEVELS = 2
_Node = Any  # sqlglot ships no usable types


@dataclass(frozen=True)
class Item:
    """Canonical text and the kind of its values."""

    text: str
    kind: ColumnKind


def write_items(nodes: list[_Node], scope: NameScope) -> list[Item]:
    """A SELECT list; stars become the columns they stand for."""
    items = []
    for aliased in nodes:
        node = aliased.unalias().unnest()
        if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
            items += _star(getattr(node, "table", ""), scope)
        else:
            items.append(write_item(node, scope))
    return items


def write_item(node: _Node, scope: NameScope) -> Item:
    """A column, an aggregate of one, or arithmetic over them."""
    if is_aggregate(node):
        return write_aggregate(node, scope)
    if is_arithmetic(node):
        return Item(write_arithmetic(node, scope), ColumnKind.NUMBER)
    use = write_column(node, scope)
    return Item(use.text, use.column.kind)


def write_column(node: _Node, scope: NameScope) -> ColumnUse:
    """A column and nothing else."""
    use = scope.find(node) if isinstance(node, exp.Column) and not isinstance(node.this, exp.Star) else None
    if use is None:
        raise violated([f"{node.sql(dialect='sqlite')[:60]} is neither a column nor an aggregate of one"])
    return use


def is_aggregate(node: _Node) -> bool:
    """Whether this is one of the five aggregates."""
    return type(node) in _AGGREGATES


def is_arithmetic(node: _Node) -> bool:
    """Whether this is a sum, difference, product or quotient."""
    return type(node) in _ARITHMETIC


def write_arithmetic(node: _Node, scope: NameScope) -> str:
    """Two operands, each of which may be two in parentheses: `(a + b) - c`, whatever the parentheses were."""
    return _arithmetic(node, scope, _MAX_LEVELS)


def write_aggregate(node: _Node, scope: NameScope) -> Item:
    """An aggregate. COUNT(1) counts rows as COUNT(*) does; DISTINCT means nothing to MAX and MIN."""
    function, inner = _AGGREGATES[type(node)], node.this
    distinct = ""
    if isinstance(inner, exp.Distinct):
        if len(inner.expressions) != 1:
            raise violated([f"{node.sql(dialect='sqlite')[:60]}: an aggregate takes one column"])
        distinct, inner = "DISTINCT ", inner.expressions[0]
    inner = inner.unnest()
    if function == "COUNT" and not distinct and isinstance(inner, exp.Star | exp.Literal):
        return Item("COUNT(*)", ColumnKind.NUMBER)
    if is_arithmetic(inner) and function != "COUNT":
        if inner.find(exp.AggFunc):
            raise violated([f"{node.sql(dialect='sqlite')[:60]}: an aggregate inside another"])
        value = Item(write_arithmetic(inner, scope), ColumnKind.NUMBER)
    else:
        use = write_column(inner, scope)
        value = Item(use.text, use.column.kind)
    if function in ("SUM", "AVG") and value.kind not in (ColumnKind.NUMBER, ColumnKind.ANY):
        raise violated([f"{function} of the {value.kind} column {value.text}"])
    is_extreme = function in ("MAX", "MIN")
    kind = value.kind if is_extreme else ColumnKind.NUMBER
    return Item(f"{function}({'' if is_extreme else distinct}{value.text})", kind)


def _arithmetic(node: _Node, scope: NameScope, levels: int) -> str:
    if not levels:
        raise violated([f"{node.sql(dialect='sqlite')[:60]}: arithmetic deeper than {_MAX_LEVELS} operators"])
    left, right = (_operand(side, scope, levels) for side in (node.this, node.expression))
    return f"{left} {_ARITHMETIC[type(node)]} {right}"


def _operand(node: _Node, scope: NameScope, levels: int) -> str:
    node = node.unnest()
    if is_arithmetic(node):
        return f"({_arithmetic(node, scope, levels - 1)})"
    value = literal_value(node)
    if value is not None and value[0] is ColumnKind.NUMBER:
        return write_number(value[1], "an operand")
    item = write_item(node, scope)
    if item.kind not in (ColumnKind.NUMBER, ColumnKind.ANY):
        raise violated([f"arithmetic with the {item.kind} {item.text}"])
    return item.text


def _star(source: str, scope: NameScope) -> list[Item]:
    if scope.merged and not source:
        raise violated(["a star over a join with USING"])
    tables = [scope.sources.get(source.lower())] if source else list(scope.sources.values())
    if None in tables:
        raise violated([f"{source}.*: {source!r} is not in FROM"])
    return [
        Item(qualified(table, column), column.kind) for table in tables if table is not None for column in table.columns
    ]
