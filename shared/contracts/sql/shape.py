"""Which syntax the canonicaliser understands completely; anything else is refused, never dropped."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from shared.contracts.sql.refusal import violated

_Node = Any  # sqlglot ships no usable types
_BINARY = ("this", "expression")
_AGGREGATE = ("this", "big_int")

_KNOWN: dict[type, tuple[str, ...]] = {
    exp.Select: ("expressions", "distinct", "from_", "from", "joins", "where", "group", "having", "order", "limit"),
    exp.From: ("this",),
    exp.Join: ("this", "on", "using", "kind", "side", "method"),
    exp.Table: ("this", "alias"),
    exp.TableAlias: ("this",),
    exp.Subquery: ("this",),
    exp.Where: ("this",),
    exp.Group: ("expressions",),
    exp.Having: ("this",),
    exp.Order: ("expressions",),
    exp.Ordered: ("this", "desc", "nulls_first"),
    exp.Limit: ("expression",),
    exp.Distinct: ("expressions",),
    exp.Alias: ("this", "alias"),
    exp.Column: ("this", "table"),
    exp.Identifier: ("this", "quoted"),
    exp.Star: (),
    exp.Literal: ("this", "is_string"),
    exp.Boolean: ("this",),
    exp.Null: (),
    exp.Neg: ("this",),
    exp.Paren: ("this",),
    exp.Not: ("this",),
    exp.And: _BINARY,
    exp.Or: _BINARY,
    exp.EQ: _BINARY,
    exp.NEQ: _BINARY,
    exp.LT: _BINARY,
    exp.GT: _BINARY,
    exp.LTE: _BINARY,
    exp.GTE: _BINARY,
    exp.Is: (*_BINARY, "negate"),
    exp.Like: (*_BINARY, "negate"),
    exp.Between: ("this", "low", "high"),
    exp.In: ("this", "expressions", "query"),
    exp.Count: _AGGREGATE,
    exp.Max: _AGGREGATE,
    exp.Min: _AGGREGATE,
    exp.Sum: _AGGREGATE,
    exp.Avg: _AGGREGATE,
}
"""Node types of sqlglot with the arguments that are read. `NOT LIKE` taught that an argument nobody reads (`negate`)
turns a statement into its opposite."""


_SET_OPERATION = ("this", "expression", "distinct", "order", "limit", "offset")  # the last three are refused by name
_NESTED: dict[type, tuple[str, ...]] = {
    **_KNOWN,
    exp.Select: (*_KNOWN[exp.Select], "offset"),
    exp.Subquery: ("this", "alias"),
    exp.TableAlias: ("this",),
    exp.Offset: ("expression",),
    exp.Exists: ("this",),
    exp.Union: _SET_OPERATION,
    exp.Intersect: _SET_OPERATION,
    exp.Except: _SET_OPERATION,
    exp.Add: _BINARY,
    exp.Sub: _BINARY,
    exp.Mul: _BINARY,
    exp.Div: (*_BINARY, "typed", "safe"),
}
"""What the nested profile understands besides. `typed` and `safe` of a division say how its dialect divides."""


def check_shape(root: _Node, *, is_nested: bool) -> None:
    """Raises `InvalidInput` (`CONTRACT_VIOLATED`) naming everything in the statement that the language has not."""
    if not is_nested and not isinstance(root, exp.Select):
        raise violated([f"a set operation ({root.key.upper()})"])
    faults: dict[str, None] = {}
    for node in root.walk():
        if isinstance(node, exp.Subquery) and isinstance(node.parent, exp.From | exp.Join) and not is_nested:
            faults["a derived table (a SELECT inside FROM)"] = None
        known = (_NESTED if is_nested else _KNOWN).get(type(node))
        if known is None:
            faults[_describe(node)] = None
            continue
        for argument, value in node.args.items():
            if value and argument not in known:
                faults[f"{argument.rstrip('_').upper()} of {node.sql(dialect='sqlite')[:60]}"] = None
    if faults:
        raise violated(list(faults)[:10])


def _describe(node: _Node) -> str:
    if isinstance(node, exp.SetOperation):
        return f"a set operation ({node.key.upper()})"
    return f"{node.key.upper()}: {node.sql(dialect='sqlite')[:60]}"
