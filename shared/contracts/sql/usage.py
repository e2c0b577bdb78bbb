"""Which tables and columns of a schema no statement of a dataset reads."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from shared.contracts.spec import ContractSpec
from shared.contracts.sql.copies import with_copies
from shared.contracts.sql.declared import schema_of
from shared.contracts.sql.statement import parse_select


def unused_names(spec: ContractSpec, statements: Iterable[str]) -> list[str]:
    """`table` or `table.column`, in declared order; of a table that is not read as a whole, not its columns.

    Statements are canonical, so that every column stands with its table. Nothing is said to be unused where one cannot
    be read, such as one nested too deeply for the stack that is left. Complexity: each statement is parsed once.
    """
    schema = schema_of(spec)
    tables = {table.name.lower(): table.copy_of or table.name for table in with_copies(schema).tables}
    read: set[tuple[str, str]] = set()
    for statement in statements:
        node, _ = parse_select(statement, schema.dialect)
        if node is None:
            return []
        for used in node.find_all(exp.Table, exp.Column):
            name = used.table if isinstance(used, exp.Column) else used.name
            if (table := tables.get(name.lower())) is not None:
                read.add((table, used.name.lower() if isinstance(used, exp.Column) else ""))
    unused: list[str] = []
    for declared in schema.tables:
        if (declared.name, "") not in read:
            unused.append(declared.name)
        else:
            names = [column.name for column in declared.columns]
            unused += [f"{declared.name}.{name}" for name in names if (declared.name, name.lower()) not in read]
    return unused
