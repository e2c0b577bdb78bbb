"""Any spelling of a SELECT to the one that the language of its schema holds."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from shared.contracts.spec import ContractSpec
from shared.contracts.sql.boolean import Atom, disjunction
from shared.contracts.sql.check import MAX_SQL_CHARACTERS, parse_select
from shared.contracts.sql.item import is_aggregate, write_aggregate, write_column, write_item, write_items
from shared.contracts.sql.predicate import OPERATORS, Predicate, PredicateWriter
from shared.contracts.sql.profile import SqlLanguage, language_of
from shared.contracts.sql.refusal import violated
from shared.contracts.sql.schema import ColumnKind
from shared.contracts.sql.scope import NameScope
from shared.contracts.sql.shape import check_shape
from shared.contracts.sql.source import read_source
from shared.contracts.sql.value import literal_value, write_value

_MAX_LIMIT = 9_999
_Node = Any  # sqlglot ships no usable types


def canonicalise_sql(spec: ContractSpec, text: str) -> str:
    """The canonical spelling of `text`: a statement of the language, with the same answer on every database.

    Aliases go; every column is qualified; double-quoted strings, implicit joins, stars, ordinals, DISTINCT where it
    means nothing and parentheses are rewritten; AND-ed predicates keep their order, except that one which the language
    has only in the last place moves there. Idempotent. Raises `InvalidInput` (`CONTRACT_VIOLATED`) saying what lies
    outside the language, and what `language_of` raises.
    """
    language = language_of(spec)
    if len(text) > MAX_SQL_CHARACTERS:
        raise violated([f"{len(text)} characters; the limit is {MAX_SQL_CHARACTERS}"])
    node, fault = parse_select(text.strip().rstrip("; \t\r\n"), spec.dialect)
    if node is None:
        raise violated([fault])
    try:
        check_shape(node)
        canonical = _Writer(language).statement(node)
    except RecursionError as err:
        raise violated(["nested too deeply"]) from err
    if not language.pattern.fullmatch(canonical):
        raise violated([f"not in the language of this schema: {canonical[:200]}"])
    return canonical


class _Writer:
    def __init__(self, language: SqlLanguage) -> None:
        self._language = language
        self._profile = language.profile

    def statement(self, select: _Node) -> str:
        scope = NameScope(self._language.schema)
        source = read_source(select, scope, self._language)
        items = write_items(select.expressions, scope)
        distinct = select.args.get("distinct")
        writer = PredicateWriter(scope, self._subquery, compares_columns=True)
        free_depth = 1 if source.is_single and self._profile.free_subqueries else 0
        condition = _condition(source.conditions, writer, free_depth)
        ending = self._ending(select, scope)
        if condition.depth > free_depth and ending:
            raise violated([f"{ending.split()[0]} after a subquery that only the end of a statement may hold"])
        if condition.depth > max(free_depth, self._profile.max_depth):
            raise violated(
                [f"subqueries are nested {condition.depth} deep; this schema's language has {self._profile.max_depth}"]
            )
        where = f" WHERE {condition.text}" if condition.text else ""
        head = "SELECT DISTINCT " if distinct else "SELECT "
        return head + ", ".join(items) + f" FROM {source.text}{where}{ending}"

    def _subquery(self, select: _Node, parent: NameScope) -> Predicate:
        """A nested SELECT of one item from one table; DISTINCT does not change what it is compared to."""
        for clause in ("group", "having", "order", "limit"):
            if select.args.get(clause) is not None:
                raise violated([f"{clause.upper()} inside a subquery"])
        scope = NameScope(self._language.schema, parent)
        source = read_source(select, scope, self._language)
        if not source.is_single:
            raise violated([f"a join inside a subquery: {source.text}"])
        items = write_items(select.expressions, scope)
        if len(items) != 1:
            raise violated([f"a subquery that selects {len(items)} columns instead of one"])
        writer = PredicateWriter(scope, self._subquery, compares_columns=False)
        condition = _condition(source.conditions, writer, 0)
        where = f" WHERE {condition.text}" if condition.text else ""
        item = items[0].replace("(DISTINCT ", "(") if items[0].startswith(("MAX", "MIN")) else items[0]
        if "(DISTINCT " in item:
            raise violated([f"{item} inside a subquery"])
        return Predicate(f"SELECT {item} FROM {source.text}{where}", condition.depth)

    def _ending(self, select: _Node, scope: NameScope) -> str:
        text, group = "", select.args.get("group")
        if group is not None:
            keys = [write_column(_resolve(node, select, scope), scope).text for node in group.expressions]
            text = f" GROUP BY {', '.join(keys)}"
        having = select.args.get("having")
        if having is not None:
            if group is None:
                raise violated(["HAVING without GROUP BY"])
            groups = disjunction([having.this])
            text += " HAVING " + " OR ".join(
                " AND ".join(_having(atom, select, scope) for atom in part) for part in groups
            )
        order = select.args.get("order")
        if order is not None:
            keys = [_order_key(node, select, scope, is_grouped=group is not None) for node in order.expressions]
            text += f" ORDER BY {', '.join(keys)}"
        limit = select.args.get("limit")
        return text if limit is None else f"{text} LIMIT {_limit(limit)}"


def _condition(nodes: list[_Node], writer: PredicateWriter, free_depth: int) -> Predicate:
    """Predicates joined by AND and OR; one deeper than `free_depth` goes last, where the language has it."""
    groups = [[writer.write(atom) for atom in group] for group in disjunction(nodes)] if nodes else []
    deep = [predicate for group in groups for predicate in group if predicate.depth > free_depth]
    if len(deep) > 1:
        kind = "nested subqueries" if free_depth else "subqueries"
        raise violated([f"two {kind} in one condition; only its last predicate may hold one"])
    for group in groups:
        group.sort(key=lambda predicate: predicate.depth > free_depth)
    groups.sort(key=lambda group: group[-1].depth > free_depth)
    depth = max((predicate.depth for group in groups for predicate in group), default=0)
    return Predicate(" OR ".join(" AND ".join(p.text for p in group) for group in groups), depth)


def _having(atom: Atom, select: _Node, scope: NameScope) -> str:
    node = atom.node
    if type(node) not in OPERATORS:
        raise violated([f"HAVING {node.sql(dialect='sqlite')[:60]}"])
    left, right = (_aliased(side, select) for side in (node.this, node.expression))
    operator = OPERATORS[type(node)][1 if atom.is_negated else 0]
    if not is_aggregate(left):
        left, right = right, left
        operator = next(flipped for name, _, flipped in OPERATORS.values() if name == operator)
    value = literal_value(right)
    if not is_aggregate(left) or value is None or value[0] is not ColumnKind.NUMBER:
        raise violated([f"HAVING {node.sql(dialect='sqlite')[:60]}: an aggregate is compared with a number only"])
    text = write_aggregate(left, scope)
    return f"{text} {operator} {write_value(value, ColumnKind.NUMBER, text)}"


def _order_key(node: _Node, select: _Node, scope: NameScope, *, is_grouped: bool) -> str:
    descending = bool(node.args.get("desc"))
    nulls_first = node.args.get("nulls_first")
    if nulls_first is not None and bool(nulls_first) == descending:
        raise violated(["NULLS FIRST or LAST other than SQLite's own"])
    item = _resolve(node.this, select)
    if is_aggregate(item) and not is_grouped:
        raise violated(["ORDER BY an aggregate without GROUP BY"])
    return write_item(item, scope) + (" DESC" if descending else "")


def _resolve(node: _Node, select: _Node, scope: NameScope | None = None) -> _Node:
    """What an alias or a position in the SELECT list stands for.

    With a `scope`, a column of it wins over an alias, as in SQLite's GROUP BY; in ORDER BY the alias wins.
    """
    node = node.unnest()
    items = select.expressions
    if isinstance(node, exp.Literal) and not node.is_string and node.this.isdigit():
        position = int(node.this)
        if not 1 <= position <= len(items) or any(item.is_star for item in items[:position]):
            raise violated([f"position {position} of the SELECT list"])
        return items[position - 1].unalias().unnest()
    if scope is not None and isinstance(node, exp.Column) and scope.knows(node):
        return node
    return _aliased(node, select)


def _aliased(node: _Node, select: _Node) -> _Node:
    node = node.unnest()
    if isinstance(node, exp.Column) and not node.table:
        for item in select.expressions:
            if isinstance(item, exp.Alias) and item.alias.lower() == node.name.lower():
                return item.this.unnest()
    return node


def _limit(limit: _Node) -> str:
    value = literal_value(limit.expression)
    if value is None or value[0] is not ColumnKind.NUMBER or not value[1].isdigit():
        raise violated(["LIMIT with anything but one whole number"])
    number = int(value[1]) if len(value[1]) < 10 else _MAX_LIMIT + 1
    if not 1 <= number <= _MAX_LIMIT:
        raise violated([f"LIMIT {value[1][:12]}; the language has 1 to {_MAX_LIMIT}"])
    return str(number)
