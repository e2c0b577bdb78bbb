"""From a spec to the language that the engines hold."""

from __future__ import annotations

import sqlite3

from shared.contracts.report import LoweredContract
from shared.contracts.spec import ContractSpec
from shared.contracts.sql.check import explain, open_empty
from shared.contracts.sql.declared import schema_of
from shared.contracts.sql.identifier import qualified, quote
from shared.contracts.sql.profile import language_of
from shared.contracts.sql.refusal import unsupported
from shared.contracts.sql.schema import SqlSchema
from shared.errors import FieldViolation


def lower_sql(spec: ContractSpec) -> LoweredContract:
    """The canonical SELECT statements over the tables of `spec.ddl`, and a verdict for each table and feature.

    The flat profile is regular; the nested one is not. Raises `InvalidInput`: `CONTRACT_UNSUPPORTED` for what
    `schema_of` refuses or SQLite cannot hold, `CONTRACT_TOO_LARGE` when no profile fits.
    """
    language = language_of(spec)
    schema = schema_of(spec)
    if not schema.is_strict:
        _prove_names(schema)
    return LoweredContract(language.grammar, language.verdicts())


def _prove_names(schema: SqlSchema) -> None:
    """Every table and column is readable under its canonical spelling, whatever its name."""
    faults = []
    try:
        connection = open_empty(schema)
    except sqlite3.Error as err:
        raise unsupported(FieldViolation("ddl", f"SQLite refuses the tables: {err}.")) from err
    for table in schema.tables:
        columns = ", ".join(qualified(table, column) for column in table.columns)
        fault = explain(connection, "SELECT " + columns + " FROM " + quote(table.name))
        if fault:
            faults.append(FieldViolation(f"ddl#table/{table.name}", f"Cannot be queried: {fault}"))
    connection.close()
    if faults:
        raise unsupported(*faults)
