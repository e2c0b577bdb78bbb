"""How a name of the schema is written in canonical SQL."""

from __future__ import annotations

import re

from shared.contracts.sql.schema import Column, Table

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# https://www.sqlite.org/lang_keywords.html, and the words that sqlglot reads as something else than a name.
_KEYWORDS = frozenset(
    """ABORT ACTION ADD AFTER ALL ALTER ALWAYS ANALYZE AND AS ASC ATTACH AUTOINCREMENT BEFORE BEGIN BETWEEN BY CASCADE
    CASE CAST CHECK COLLATE COLUMN COMMIT CONFLICT CONSTRAINT CREATE CROSS CURRENT CURRENT_DATE CURRENT_TIME
    CURRENT_TIMESTAMP DATABASE DEFAULT DEFERRABLE DEFERRED DELETE DESC DETACH DISTINCT DO DROP EACH ELSE END ESCAPE
    EXCEPT EXCLUDE EXCLUSIVE EXISTS EXPLAIN FAIL FILTER FIRST FOLLOWING FOR FOREIGN FROM FULL GENERATED GLOB GROUP
    GROUPS HAVING IF IGNORE IMMEDIATE IN INDEX INDEXED INITIALLY INNER INSERT INSTEAD INTERSECT INTO IS ISNULL JOIN KEY
    LAST LEFT LIKE LIMIT MATCH MATERIALIZED NATURAL NO NOT NOTHING NOTNULL NULL NULLS OF OFFSET ON OR ORDER OTHERS OUTER
    OVER PARTITION PLAN PRAGMA PRECEDING PRIMARY QUERY RAISE RANGE RECURSIVE REFERENCES REGEXP REINDEX RELEASE RENAME
    REPLACE RESTRICT RETURNING RIGHT ROLLBACK ROW ROWS SAVEPOINT SELECT SET TABLE TEMP TEMPORARY THEN TIES TO
    TRANSACTION TRIGGER UNBOUNDED UNION UNIQUE UPDATE USING VACUUM VALUES VIEW VIRTUAL WHEN WHERE WINDOW WITH WITHOUT
    ANY ANTI APPLY ARRAY ASOF DIV FALSE FETCH FORCE INTERVAL LATERAL PIVOT QUALIFY RLIKE SEMI SOME STRAIGHT_JOIN STRUCT
    TRUE UNNEST UNPIVOT""".split()
)


def quote(name: str) -> str:
    """The name as canonical SQL writes it: bare where SQLite and sqlglot read it as a name, else in double quotes."""
    if _PLAIN.fullmatch(name) and name.upper() not in _KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def spelled(table: Table, name: str) -> str:
    """A name of the table, its own or a column's, in the table's way of quoting."""
    mark = table.quote_mark
    return mark + name.replace(mark, mark * 2) + mark if mark else quote(name)


def qualified(table: Table, column: Column) -> str:
    """`table.column`, the only way canonical SQL names a column."""
    return f"{spelled(table, table.name)}.{spelled(table, column.name)}"
