"""Which tables may be joined, and how the FROM clause of each set of tables is written."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.contracts.sql.identifier import qualified, spelled
from shared.contracts.sql.schema import Column, ColumnKind, ForeignKey, SqlSchema, Table
from shared.lazy import cached_property

MAX_TREES = 8
"""Ways to join one set of tables that are kept: more come only from many parallel keys."""


@dataclass(frozen=True)
class JoinTree:
    """One way to join a set of tables: `units` are the lexical units of what follows FROM, `keys` its equalities."""

    units: tuple[str, ...]
    keys: tuple[ForeignKey, ...]

    @cached_property
    def text(self) -> str:
        """What follows FROM."""
        return "".join(self.units)

    @cached_property
    def equalities(self) -> frozenset[frozenset[tuple[str, str]]]:
        """Each ON equality as an unordered pair of (table, column)."""
        return frozenset(
            frozenset(((key.table, left), (key.parent, right))) for key in self.keys for left, right in key.pairs
        )


@dataclass(frozen=True)
class TableSet:
    """Tables that one SELECT reads, in the order of FROM, with every way to join them."""

    tables: tuple[Table, ...]
    trees: tuple[JoinTree, ...]

    @cached_property
    def names(self) -> frozenset[str]:
        """The tables' names."""
        return frozenset(table.name for table in self.tables)

    @cached_property
    def alternatives(self) -> tuple[tuple[str, ...], ...]:
        """The units of the equalities of which two may stand in an ON with OR; none, or two and more."""
        if len(self.tables) != 2:
            return ()
        single = [tree.units[-3:] for tree in self.trees if len(tree.keys[0].pairs) == 1]
        return tuple(single[:MAX_TREES]) if len(single) > 1 else ()


def infer_foreign_keys(tables: Sequence[Table]) -> tuple[ForeignKey, ...]:
    """Joins that names suggest, for a DDL that declares none.

    Equal names of the same kind (numbers only when the name ends in `id`, and never plain `id`), and `x_id` with the
    `id` of a table `x`.
    """
    keys = []
    for left, right in itertools.combinations(tables, 2):
        for column in left.columns:
            other = right.by_lower.get(column.name.lower())
            if other is not None and other.kind is column.kind and _is_key_like(column):
                keys.append(ForeignKey(left.name, right.name, ((column.name, other.name),), is_inferred=True))
    for child, parent in itertools.permutations(tables, 2):
        own, target = child.by_lower.get(f"{parent.name.lower()}_id"), parent.by_lower.get("id")
        if own is not None and target is not None and own.kind is target.kind:
            keys.append(ForeignKey(child.name, parent.name, ((own.name, target.name),), is_inferred=True))
    return tuple(keys)


def _is_key_like(column: Column) -> bool:
    name = column.name.lower()
    return name != "id" and (column.kind is ColumnKind.TEXT or name.endswith("id"))


def table_sets(schema: SqlSchema, max_tables: int, *, limit: int, max_trees: int = MAX_TREES) -> list[TableSet] | None:
    """Every connected set of at most `max_tables` tables, small sets first, in declared order.

    A copy of a table stands only beside the table itself. None when more than `limit` sets hold two tables or more.
    """
    neighbours: dict[str, set[str]] = {table.name: set() for table in schema.tables}
    for key in schema.foreign_keys:
        if key.table != key.parent:
            neighbours[key.table].add(key.parent)
            neighbours[key.parent].add(key.table)
    copies = {table.name: table.copy_of for table in schema.tables if table.copy_of}
    found = {frozenset([table.name]) for table in schema.tables if not table.copy_of}
    grown, single_count = set(found), len(found)
    for _ in range(max_tables - 1):
        grown = {
            group | {name}
            for group in grown
            for member in group
            for name in neighbours[member] - group
            if copies.get(name, name) in group | {name}
        }
        found |= grown
        if len(found) > limit + single_count:
            return None
    order = {table.name: number for number, table in enumerate(schema.tables)}
    ranked = sorted(found, key=lambda group: (len(group), sorted(order[name] for name in group)))
    return [_table_set(schema, group, max_trees) for group in ranked]


def _table_set(schema: SqlSchema, group: frozenset[str], max_trees: int) -> TableSet:
    inside = [k for k in schema.foreign_keys if k.table in group and k.parent in group and k.table != k.parent]
    trees = list(itertools.islice(_trees(schema, group, inside), max_trees))
    first = [schema.table(name) for name in _order(schema, group, trees[0].keys)]
    return TableSet(tuple(first), tuple(trees))


def _trees(schema: SqlSchema, group: frozenset[str], keys: Sequence[ForeignKey]) -> Iterator[JoinTree]:
    for chosen in itertools.combinations(keys, len(group) - 1):
        order = _order(schema, group, chosen)
        if len(order) == len(group):
            yield JoinTree(tuple(_from_units(schema, order, chosen)), chosen)


def _order(schema: SqlSchema, group: frozenset[str], keys: Sequence[ForeignKey]) -> list[str]:
    """Referring tables first: the first table that no key points to, then along the keys in declared order.

    With a copy among them the copied table comes first, so that the second mention of a table is always the copy.
    """
    declared = [table.name for table in schema.tables if table.name in group]
    parents = {key.parent for key in keys}
    copied = [table.copy_of for table in schema.tables if table.name in group and table.copy_of]
    order = copied[:1] or [next((name for name in declared if name not in parents), declared[0])]
    while True:
        key = next((k for k in keys if (k.table in order) != (k.parent in order)), None)
        if key is None:
            return order
        order.append(key.parent if key.table in order else key.table)


def _from_units(schema: SqlSchema, order: Sequence[str], keys: Sequence[ForeignKey]) -> Iterator[str]:
    seen: set[str] = set()
    for name in order:
        seen.add(name)
        if len(seen) > 1:
            yield " JOIN "
        table = schema.table(name)
        yield spelled(table, table.copy_of or name)
        if table.copy_of:
            yield from (" AS ", spelled(table, name))
        if len(seen) > 1:
            key = next(k for k in keys if name in (k.table, k.parent) and {k.table, k.parent} <= seen)
            for number, pair in enumerate(key.pairs):
                yield " AND " if number else " ON "
                yield from _equality(schema, key, *pair)


def _equality(schema: SqlSchema, key: ForeignKey, left: str, right: str) -> tuple[str, str, str]:
    table, parent = schema.table(key.table), schema.table(key.parent)
    columns = table.by_lower[left.lower()], parent.by_lower[right.lower()]
    return qualified(table, columns[0]), " = ", qualified(parent, columns[1])
