"""Reading DDL: precise refusals, nothing guessed."""

from __future__ import annotations

import pytest

from shared.contracts.sql import Column, ColumnKind, ForeignKey, lower_sql, read_schema
from shared.errors import InvalidInput
from tests.unit.contracts.sql.schemas import ODD, SALES, flat

NUMBER, TEXT, ANY = ColumnKind.NUMBER, ColumnKind.TEXT, ColumnKind.ANY
REFUSED = [
    ("", "ddl", "no table"),
    ("hello world", "ddl#statement/1", "CREATE TABLE"),
    ("CREATE TABLE (", "ddl", "Line 1"),
    ("CREATE TABLE t (a INT); DROP TABLE t", "ddl#statement/2", "DROP"),
    ("CREATE TABLE t (a INT); PRAGMA journal_mode", "ddl#statement/2", "PRAGMA"),
    ("CREATE VIEW v AS SELECT 1", "ddl#statement/1", "VIEW"),
    ("CREATE TABLE t AS SELECT 1 AS a", "ddl#table/t", "list of columns"),
    ("CREATE TABLE t (a INT); CREATE TABLE T (a INT)", "ddl#table/T", "twice"),
    ("CREATE TABLE t (a INT, A TEXT)", "ddl#table/t", "twice"),
    ("CREATE TABLE t (a INT REFERENCES u (b))", "ddl#table/t", "'u'"),
    ("CREATE TABLE u (b INT); CREATE TABLE t (a INT REFERENCES u (c))", "ddl#table/t", "do not fit"),
    ("CREATE TABLE u (b INT); CREATE TABLE t (a INT REFERENCES u)", "ddl#table/t", "do not fit"),
    ("CREATE TABLE sqlite_x (a INT)", "ddl#table/sqlite_x", "belong to SQLite"),
    ("CREATE TABLE x.t (a INT)", "ddl#table/t", "database"),
    (f"CREATE TABLE {'t' * 65} (a INT)", f"ddl#table/{'t' * 64}", "limit is 64"),
    ('CREATE TABLE "a\nb" (a INT)', "ddl#table/a?b", "control"),
    ("\x00", "ddl", "NUL"),
    ('CREATE TABLE "\ud800" (a INT)', "ddl", "surrogate"),
    ("x" * 1_000_000, "ddl", "limit is 262144"),
    ("".join(f"CREATE TABLE t{n} (a INT);" for n in range(500)), "ddl", "500 tables; the limit is 100"),
    ("CREATE TABLE t (" + ", ".join(f"c{n} INT" for n in range(1001)) + ")", "ddl", "1000 columns"),
    ("CREATE TABLE t (a INT DEFAULT " + "(" * 5000 + ")", "ddl", ""),
]


class TestReadSchema:
    """From DDL to tables, kinds and keys."""

    def test_reads_tables_kinds_and_keys(self) -> None:
        """Declared types become kinds; inline and table-level keys are edges, also to an implied primary key."""
        schema = read_schema(SALES, "sqlite")

        assert [table.name for table in schema.tables] == ["customers", "products", "orders", "order_items"]
        assert (Column("id", NUMBER), Column("title", TEXT)) == schema.table("PRODUCTS").columns[:2]
        assert schema.foreign_keys == (
            ForeignKey("orders", "customers", (("customer_id", "id"),)),
            ForeignKey("order_items", "orders", (("order_id", "id"),)),
            ForeignKey("order_items", "products", (("product_id", "id"),)),
        )

    def test_names_are_kept_as_written(self) -> None:
        """Quoted, reserved and accented names survive, quotes inside included; no type means any literal."""
        columns = read_schema(ODD, "sqlite").table("order").columns

        assert tuple(column.name for column in columns) == ("group", 'a "b', "select", "x-y", "été", "Key")
        assert tuple(column.kind for column in columns) == (TEXT, NUMBER, ANY, NUMBER, TEXT, NUMBER)

    @pytest.mark.parametrize(("ddl", "path", "reason"), REFUSED)
    def test_refuses_by_place(self, ddl: str, path: str, reason: str) -> None:
        """Each fault names its table, statement or line."""
        with pytest.raises(InvalidInput) as caught:
            lower_sql(flat(ddl))

        assert caught.value.reason == "CONTRACT_UNSUPPORTED"
        assert path == caught.value.violations[0].path
        assert reason in caught.value.violations[0].description

    def test_reports_all_faults_at_once(self) -> None:
        """Two bad tables are two violations."""
        with pytest.raises(InvalidInput) as caught:
            read_schema("CREATE TABLE t (a INT, a INT); CREATE TABLE u (b INT REFERENCES x)", "sqlite")

        assert [violation.path for violation in caught.value.violations] == ["ddl#table/t", "ddl#table/u"]

    @pytest.mark.parametrize("dialect", ["", "bigquery", "tsql", "oracle-9"])
    def test_refuses_dialects_that_it_cannot_hold(self, dialect: str) -> None:
        """A dialect in which a canonical statement may be invalid is no dialect of contracts."""
        with pytest.raises(InvalidInput, match="is not one of sqlite, postgres, mysql, duckdb"):
            read_schema("CREATE TABLE t (a INT)", dialect)
