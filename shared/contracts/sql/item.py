"""Columns and aggregates as they stand in SELECT, GROUP BY, HAVING and ORDER BY."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from shared.contracts.sql.identifier import qualified
from shared.contracts.sql.refusal import violated
from shared.contracts.sql.schema import ColumnKind
from shared.contracts.sql.scope import ColumnUse, NameScope

_AGGREGATES = {exp.Count: "COUNT", exp.Max: "MAX", exp.Min: "MIN", exp.Sum: "SUM", exp.Avg: "AVG"}
_Node = Any  # sqlglot ships no usable types


def write_items(nodes: list[_Node], scope: NameScope) -> list[str]:
    """A SELECT list; stars become the columns they stand for."""
    texts = []
    for aliased in nodes:
        node = aliased.unalias().unnest()
        if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
            texts += _star(getattr(node, "table", ""), scope)
        else:
            texts.append(write_item(node, scope))
    return texts


def write_item(node: _Node, scope: NameScope) -> str:
    """A column or an aggregate of one column."""
    if is_aggregate(node):
        return write_aggregate(node, scope)
    return write_column(node, scope).text


def write_column(node: _Node, scope: NameScope) -> ColumnUse:
    """A column and nothing else."""
    use = scope.find(node) if isinstance(node, exp.Column) and not isinstance(node.this, exp.Star) else None
    if use is None:
        raise violated([f"{node.sql(dialect='sqlite')[:60]} is neither a column nor an aggregate of one"])
    return use


def is_aggregate(node: _Node) -> bool:
    """Whether this is one of the five aggregates."""
    return type(node) in _AGGREGATES


def write_aggregate(node: _Node, scope: NameScope) -> str:
    """An aggregate. COUNT(1) counts rows as COUNT(*) does; DISTINCT means nothing to MAX and MIN."""
    function, inner = _AGGREGATES[type(node)], node.this
    distinct = ""
    if isinstance(inner, exp.Distinct):
        if len(inner.expressions) != 1:
            raise violated([f"{node.sql(dialect='sqlite')[:60]}: an aggregate takes one column"])
        distinct, inner = "DISTINCT ", inner.expressions[0]
    inner = inner.unnest()
    if function == "COUNT" and not distinct and isinstance(inner, exp.Star | exp.Literal):
        return "COUNT(*)"
    use = write_column(inner, scope)
    if function in ("SUM", "AVG") and use.column.kind is ColumnKind.TEXT:
        raise violated([f"{function} of the text column {use.text}"])
    return f"{function}({'' if function in ('MAX', 'MIN') else distinct}{use.text})"


def _star(source: str, scope: NameScope) -> list[str]:
    if scope.merged and not source:
        raise violated(["a star over a join with USING"])
    tables = [scope.sources.get(source.lower())] if source else list(scope.sources.values())
    if None in tables:
        raise violated([f"{source}.*: {source!r} is not in FROM"])
    return [qualified(table, column) for table in tables if table is not None for column in table.columns]
