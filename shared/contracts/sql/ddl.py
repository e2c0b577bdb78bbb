"""Reads CREATE TABLE statements into a schema, or says by name and line what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from shared.contracts.sql.edge import infer_foreign_keys
from shared.contracts.sql.refusal import unsupported
from shared.contracts.sql.schema import Column, ColumnKind, ForeignKey, SqlSchema, Table
from shared.errors import FieldViolation

QUOTES = {"sqlite": "", "postgres": '"', "mysql": "`", "duckdb": '"'}
"""The dialects and what their names stand in. Only SQLite's reserved words are known by heart here."""
DIALECTS = tuple(QUOTES)

MAX_DDL_CHARACTERS = 262_144
MAX_TABLES = 100
MAX_COLUMNS = 1_000
MAX_NAME_CHARACTERS = 64

_Node = Any  # sqlglot ships no usable types
_NUMBERS = re.compile(r"INT(?!ERVAL)|REAL|FLOA|DOUB|DEC|\bNUM|BOOL|MONEY|SERIAL", re.IGNORECASE)
_UNWRITABLE = re.compile(r"[\x00\ud800-\udfff]")
_BAD_NAME = re.compile(r"[\x00-\x1f\x7f]")
_PRIVATE_NAME = "sqlite_"


@lru_cache(maxsize=64)
def read_schema(ddl: str, dialect: str) -> SqlSchema:
    """The schema that `ddl` declares.

    Raises `InvalidInput` (`CONTRACT_UNSUPPORTED`) with every fault: unknown dialect, text that is no DDL, statements
    other than CREATE TABLE, duplicate names, names that SQLite keeps for itself, keys to columns that do not exist,
    more than `MAX_TABLES` tables or `MAX_COLUMNS` columns. Without any declared foreign key the joins are inferred
    from names; see `ForeignKey.is_inferred`.
    """
    _check_request(ddl, dialect)
    creates = _parse(ddl, dialect)
    reader = _Reader(dialect)
    for statement in creates:
        reader.add(statement)
    reader.add_keys()
    if reader.faults:
        raise unsupported(*reader.faults)
    tables = tuple(reader.tables.values())
    return SqlSchema(dialect, tables, tuple(reader.keys) or infer_foreign_keys(tables))


def _check_request(ddl: str, dialect: str) -> None:
    if dialect not in DIALECTS:
        raise unsupported(FieldViolation("dialect", f"{dialect!r} is not one of {', '.join(DIALECTS)}."))
    if len(ddl) > MAX_DDL_CHARACTERS:
        raise unsupported(FieldViolation("ddl", f"{len(ddl)} characters; the limit is {MAX_DDL_CHARACTERS}."))
    if _UNWRITABLE.search(ddl):
        raise unsupported(FieldViolation("ddl", "Holds a NUL character or half of a surrogate pair."))


def _parse(ddl: str, dialect: str) -> list[_Node]:
    try:
        statements = [statement for statement in sqlglot.parse(ddl, read=dialect) if statement is not None]
    except (SqlglotError, RecursionError) as err:
        raise unsupported(FieldViolation("ddl", _first_line(err))) from err
    creates, faults = [], []
    for number, statement in enumerate(statements, 1):
        if isinstance(statement, exp.Create) and str(statement.args.get("kind")).upper() == "TABLE":
            creates.append(statement)
        elif not isinstance(statement, exp.Semicolon):
            text = statement.sql(dialect=dialect)[:40]
            faults.append(FieldViolation(f"ddl#statement/{number}", f"Not a CREATE TABLE statement: {text}"))
    if len(creates) > MAX_TABLES:
        faults.append(FieldViolation("ddl", f"{len(creates)} tables; the limit is {MAX_TABLES}."))
    if not creates and not faults:
        faults.append(FieldViolation("ddl", "Declares no table."))
    if faults:
        raise unsupported(*faults[:20])
    return creates


def _first_line(err: Exception) -> str:
    details = getattr(err, "errors", None)
    if details:
        return f"Line {details[0].get('line')}: {details[0].get('description')}"
    return f"Cannot be read: {re.sub(r'[^ -~]+', ' ', str(err))[:120] or 'nested too deeply'}"


class _Reader:
    """Collects tables, keys and every fault on the way."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.tables: dict[str, Table] = {}
        self.keys: list[ForeignKey] = []
        self.faults: list[FieldViolation] = []
        self._pending: list[tuple[str, list[str], _Node]] = []
        self._primary: dict[str, list[str]] = {}
        self._column_count = 0

    def add(self, create: _Node) -> None:
        body = create.this
        name = self._own_name(body.this.this) if isinstance(body, exp.Schema) else body.name
        if not isinstance(body, exp.Schema) or create.expression is not None or create.args.get("clone"):
            self._fault(name, "Needs a list of columns (CREATE TABLE ... AS and LIKE are not read).")
            return
        if body.this.args.get("db") is not None:
            self._fault(name, "The name of a database in front of a table is not supported.")
        if name.lower() in self.tables:
            self._fault(name, "Declared twice.")
            return
        self._check_name(name, name)
        columns = list(self._columns(name, body))
        if not columns:
            self._fault(name, "Has no columns.")
        self._column_count += len(columns)
        if self._column_count > MAX_COLUMNS:
            raise unsupported(FieldViolation("ddl", f"More than {MAX_COLUMNS} columns in all tables together."))
        self.tables[name.lower()] = Table(name, tuple(columns), quote_mark=QUOTES[self.dialect])
        self._constraints(name, body)

    def add_keys(self) -> None:
        """Resolve the references once all tables are known."""
        for name, columns, reference in self._pending:
            target = reference.this
            parent = target.this.name if isinstance(target, exp.Schema) else target.name
            table, other = self.tables.get(name.lower()), self.tables.get(parent.lower())
            if table is None or other is None:
                self._fault(name, f"A foreign key refers to table {parent!r}, which the DDL does not declare.")
                continue
            named = [e.name for e in target.expressions] if isinstance(target, exp.Schema) else []
            parents = named or self._primary.get(parent.lower(), [])
            unknown = [c for c in columns if c.lower() not in table.by_lower]
            unknown += [c for c in parents if c.lower() not in other.by_lower]
            if unknown or len(parents) != len(columns):
                self._fault(name, f"The foreign key to {parent!r} names {unknown or 'columns'} that do not fit.")
                continue
            pairs = zip(columns, parents, strict=True)
            resolved = tuple((table.by_lower[a.lower()].name, other.by_lower[b.lower()].name) for a, b in pairs)
            key = ForeignKey(table.name, other.name, resolved)
            if key not in self.keys:
                self.keys.append(key)

    def _columns(self, name: str, body: _Node) -> Iterator[Column]:
        seen: set[str] = set()
        for definition in body.expressions:
            if isinstance(definition, exp.Identifier):  # a column without type or constraint
                column, kind = self._own_name(definition), None
            elif isinstance(definition, exp.ColumnDef):
                column, kind = self._own_name(definition.this), definition.args.get("kind")
            else:
                continue
            if column.lower() in seen:
                self._fault(name, f"Column {column!r} is declared twice.")
                continue
            seen.add(column.lower())
            self._check_name(name, column)
            if kind is None and self.dialect != "sqlite":
                self._fault(name, f"Column {column!r} has no type.")
            yield Column(column, self._kind(kind))

    def _kind(self, declared: _Node) -> ColumnKind:
        if declared is None:
            return ColumnKind.ANY
        if self.dialect != "sqlite":
            return strict_kind(declared)
        text = declared.sql(dialect=self.dialect).partition("(")[0]
        if re.search("BLOB", text, re.IGNORECASE):
            return ColumnKind.ANY
        return ColumnKind.NUMBER if _NUMBERS.search(text) else ColumnKind.TEXT

    def _constraints(self, name: str, body: _Node) -> None:
        for definition in body.expressions:
            if isinstance(definition, exp.ColumnDef):
                for constraint in definition.args.get("constraints") or ():
                    kind = constraint.kind
                    if isinstance(kind, exp.PrimaryKeyColumnConstraint):
                        self._primary[name.lower()] = [definition.name]
                    elif isinstance(kind, exp.Reference):
                        self._pending.append((name, [definition.name], kind))
                continue
            for key in definition.find_all(exp.PrimaryKey):
                self._primary[name.lower()] = [e.name for e in key.expressions]
            for key in definition.find_all(exp.ForeignKey):
                reference = key.args.get("reference")
                if reference is not None:
                    self._pending.append((name, [e.name for e in key.expressions], reference))

    def _own_name(self, identifier: _Node) -> str:
        """The name as the database stores it: PostgreSQL folds what is not quoted."""
        is_folded = self.dialect == "postgres" and not identifier.args.get("quoted")
        return str(identifier.name.lower() if is_folded else identifier.name)

    def _check_name(self, table: str, name: str) -> None:
        if not name or _BAD_NAME.search(name):
            self._fault(table, f"The name {name!r} is empty or holds control characters.")
        elif len(name) > MAX_NAME_CHARACTERS:
            self._fault(table, f"A name of {len(name)} characters; the limit is {MAX_NAME_CHARACTERS}.")
        elif name == table and name.lower().startswith(_PRIVATE_NAME) and self.dialect == "sqlite":
            self._fault(table, "Names beginning with sqlite_ belong to SQLite.")

    def _fault(self, table: str, description: str) -> None:
        self.faults.append(FieldViolation(f"ddl#table/{_printable(table)}", description))


def strict_kind(declared: _Node) -> ColumnKind:
    """The kind of a declared type where types are strict: what our literals can stand beside."""
    kinds = exp.DataType.Type
    known = declared.this if isinstance(declared, exp.DataType) else None
    if known in {kinds.SERIAL, kinds.BIGSERIAL, kinds.SMALLSERIAL, kinds.YEAR}:
        return ColumnKind.NUMBER
    if known in {kinds.MONEY, kinds.SMALLMONEY, kinds.BIT}:
        return ColumnKind.OTHER
    if known in exp.DataType.NUMERIC_TYPES:
        return ColumnKind.NUMBER
    if known in exp.DataType.TEXT_TYPES or known in {kinds.ENUM, kinds.SET}:
        return ColumnKind.TEXT
    if known in exp.DataType.TEMPORAL_TYPES and known not in {kinds.TIME, kinds.TIMETZ}:
        return ColumnKind.DATE
    return ColumnKind.BOOLEAN if known is kinds.BOOLEAN else ColumnKind.OTHER


def _printable(name: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]", "?", name)[:MAX_NAME_CHARACTERS]
