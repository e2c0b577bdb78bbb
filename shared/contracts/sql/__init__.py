"""SQL contracts: DDL -> a regular language of canonical SELECT statements, a canonicaliser into it, and a checker.

from shared.contracts.sql import canonicalise_sql, check_sql, lower_ddl

lower_ddl("CREATE TABLE city (name TEXT, population INT)", "sqlite").regex
canonicalise_sql(ddl, "sqlite", 'select c.name from city as c where c.population > 10')
# SELECT city.name FROM city WHERE city.population > 10
"""

from shared.contracts.sql.canonical import canonicalise_sql
from shared.contracts.sql.check import check_sql
from shared.contracts.sql.ddl import read_schema
from shared.contracts.sql.lower import lower_ddl
from shared.contracts.sql.schema import Column, ColumnKind, ForeignKey, SqlSchema, Table

__all__ = [
    "Column",
    "ColumnKind",
    "ForeignKey",
    "SqlSchema",
    "Table",
    "canonicalise_sql",
    "check_sql",
    "lower_ddl",
    "read_schema",
]
