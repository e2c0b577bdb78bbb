"""A SQL schema as the contracts see it: tables, kinds of columns, and which columns may be joined."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from shared.lazy import cached_property


class ColumnKind(enum.StrEnum):
    """Which literals a column is compared with."""

    NUMBER = "number"
    TEXT = "text"
    ANY = "any"
    """Declared without a type: it takes both. SQLite only."""
    DATE = "date"
    BOOLEAN = "boolean"
    OTHER = "other"
    """A type whose literals our language has not (JSON, UUID, arrays): read and counted, never compared."""

    def takes(self, other: ColumnKind) -> bool:
        """Whether a value of the other kind may stand beside this one."""
        return ColumnKind.ANY in (self, other) or (self is other and self is not ColumnKind.OTHER)


@dataclass(frozen=True)
class Column:
    """A column, spelled as in the DDL."""

    name: str
    kind: ColumnKind
    values: tuple[str, ...] = ()
    """Every text that the column holds, where its owner listed them: it is compared with no other."""


@dataclass(frozen=True)
class Table:
    """A table with its columns in declared order, or what else FROM can hold under a name."""

    name: str
    columns: tuple[Column, ...]
    copy_of: str = ""
    """The table that this one repeats under a name of its own, in a self-join."""
    quote_mark: str = ""
    """What its names always stand in; without one they are quoted where SQLite needs it."""

    @cached_property
    def by_lower(self) -> dict[str, Column]:
        """Columns by lower-case name: SQLite's names do not tell cases apart."""
        return {column.name.lower(): column for column in self.columns}


@dataclass(frozen=True)
class ForeignKey:
    """An allowed join: `table` refers to `parent`; `pairs` are (column, parent column)."""

    table: str
    parent: str
    pairs: tuple[tuple[str, str], ...]
    is_inferred: bool = False
    """True when the DDL declares no foreign key at all and the names suggest this one."""


@dataclass(frozen=True)
class SqlSchema:
    """Tables in declared order and the joins between them."""

    dialect: str
    """As sqlglot names it."""
    tables: tuple[Table, ...]
    foreign_keys: tuple[ForeignKey, ...] = field(default_factory=tuple)

    @property
    def is_strict(self) -> bool:
        """Whether the dialect refuses columns that are not grouped, and comparisons of unlike types."""
        return self.dialect != "sqlite"

    @cached_property
    def by_lower(self) -> dict[str, Table]:
        """Tables by lower-case name."""
        return {table.name.lower(): table for table in self.tables}

    def table(self, name: str) -> Table:
        """The table of this name in any case; `KeyError` when there is none."""
        return self.by_lower[name.lower()]
