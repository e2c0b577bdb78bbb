"""SQL contracts: DDL -> a language of canonical SELECT statements, a canonicaliser into it, and a checker.

from shared.contracts.sql import canonicalise_sql, check_sql, lower_sql

spec = ContractSpec(ContractKind.SQL, ddl="CREATE TABLE city (name TEXT, population INT)")
lower_sql(spec).grammar
canonicalise_sql(spec, 'select c.name from city as c where c.population > 10')
# SELECT city.name FROM city WHERE city.population > 10
"""

from shared.contracts.sql.canonical import canonicalise_sql
from shared.contracts.sql.check import check_sql
from shared.contracts.sql.coverage import Coverage, RowCoverage, coverage_of, hint_for
from shared.contracts.sql.ddl import read_schema
from shared.contracts.sql.lower import lower_sql
from shared.contracts.sql.schema import Column, ColumnKind, ForeignKey, SqlSchema, Table
from shared.contracts.sql.usage import unused_names

__all__ = [
    "Column",
    "ColumnKind",
    "Coverage",
    "ForeignKey",
    "RowCoverage",
    "SqlSchema",
    "Table",
    "canonicalise_sql",
    "check_sql",
    "coverage_of",
    "hint_for",
    "lower_sql",
    "read_schema",
    "unused_names",
]
