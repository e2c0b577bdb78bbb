"""Which table a name in a SELECT means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from shared.contracts.sql.identifier import qualified
from shared.contracts.sql.refusal import violated
from shared.contracts.sql.schema import Column, SqlSchema, Table
from shared.lazy import cached_property

_Node = Any  # sqlglot ships no usable types


@dataclass(frozen=True)
class ColumnUse:
    """A column of a table in scope."""

    table: Table
    column: Column

    @property
    def text(self) -> str:
        """Its canonical spelling."""
        return qualified(self.table, self.column)

    @property
    def key(self) -> tuple[str, str]:
        """Table and column name."""
        return self.table.name, self.column.name


@dataclass(frozen=True)
class DerivedTable(Table):
    """A SELECT in FROM: its columns under the language's names, found under those that the statement gave them."""

    names: tuple[str, ...] = ()

    @cached_property
    def by_lower(self) -> dict[str, Column]:
        """Columns by the statement's own names in lower case."""
        return {name.lower(): column for name, column in zip(self.names, self.columns, strict=True)}


@dataclass
class NameScope:
    """The tables of one SELECT by the names they go under, and the SELECT around it."""

    schema: SqlSchema
    parent: NameScope | None = None
    sources: dict[str, Table] = field(default_factory=dict)
    merged: set[str] = field(default_factory=set)
    """Lower-case columns of USING: without a table in front they mean the first one."""

    def add(self, node: _Node) -> None:
        """A table of FROM under its alias."""
        if isinstance(node, exp.Subquery):
            raise violated(["a derived table (a SELECT inside FROM)"])
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            raise violated([f"{node.sql()[:60]} in FROM is not a table"])
        table = self.schema.by_lower.get(node.name.lower())
        if table is None or table.copy_of or node.args.get("db") is not None:
            raise violated([f"table {node.name!r} does not exist"])
        if table in self.sources.values():
            table = self._copy(table)
        if node.alias_or_name.lower() in self.sources:
            raise violated([f"two tables of FROM are called {node.alias_or_name!r}"])
        self.sources[node.alias_or_name.lower()] = table

    def _copy(self, table: Table) -> Table:
        used = list(self.sources.values())
        copy = next((other for other in self.schema.tables if other.copy_of == table.name and other not in used), None)
        if copy is None:
            raise violated([f"a self-join: table {table.name!r} stands in FROM {used.count(table) + 1} times"])
        return copy

    def find(self, node: _Node) -> ColumnUse | None:
        """What a column means; None for a double-quoted name that is no column, which SQLite reads as a string."""
        name = node.name.lower()
        if node.args.get("db") is not None:
            raise violated([f"{node.sql()[:60]}: columns are named by table and column only"])
        if node.table:
            return self._find_in(node.table, node.name)
        uses = [ColumnUse(table, table.by_lower[name]) for table in self.sources.values() if name in table.by_lower]
        if len(uses) == 1 or (uses and name in self.merged):
            return uses[0]
        if uses:
            raise violated([f"column {node.name!r} is in {' and '.join(use.table.name for use in uses)}: ambiguous"])
        if self.parent is not None and self.parent.knows(node):
            raise violated([f"a correlated subquery: {node.name!r} belongs to the query around it"])
        if node.this.args.get("quoted") and not self.schema.is_strict:
            return None
        raise violated([f"column {node.name!r} does not exist in {', '.join(t.name for t in self.sources.values())}"])

    def knows(self, node: _Node) -> bool:
        """Whether this SELECT or one around it has the column."""
        if node.table:
            return node.table.lower() in self.sources or (self.parent is not None and self.parent.knows(node))
        here = any(node.name.lower() in table.by_lower for table in self.sources.values())
        return here or (self.parent is not None and self.parent.knows(node))

    def _find_in(self, source: str, name: str) -> ColumnUse:
        table = self.sources.get(source.lower())
        if table is None:
            if self.parent is not None and self.parent.knows(exp.column(name, table=source)):
                raise violated([f"a correlated subquery: {source}.{name} belongs to the query around it"])
            raise violated([f"{source}.{name}: {source!r} is not in FROM"])
        column = table.by_lower.get(name.lower())
        if column is None:
            raise violated([f"column {table.name}.{name} does not exist"])
        return ColumnUse(table, column)
