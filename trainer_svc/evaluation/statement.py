"""SQL texts of any kind: whether they are one SELECT, and their one spelling."""

from __future__ import annotations

from shared.contracts.spec import ContractSpec
from shared.contracts.sql import canonicalise_sql
from shared.contracts.sql.check import MAX_SQL_CHARACTERS, parse_select
from shared.errors import InvalidInput


def is_select(text: str, dialect: str) -> bool:
    """Whether a text is one SELECT statement, or a set operation, as sqlglot reads it."""
    return len(text) <= MAX_SQL_CHARACTERS and parse_select(text, dialect)[0] is not None


def is_ordered(text: str, dialect: str) -> bool:
    """Whether a statement orders its result: at its outermost level, not in a subquery."""
    node, _ = parse_select(text, dialect)
    return node is not None and node.args.get("order") is not None


def canonical_statement(spec: ContractSpec, text: str) -> str:
    """The contract's own spelling; outside its language sqlglot's, and of a text that is no SELECT the text itself."""
    try:
        return canonicalise_sql(spec, text)
    except InvalidInput:
        node = parse_select(text, spec.dialect)[0] if len(text) <= MAX_SQL_CHARACTERS else None
        return text if node is None else str(node.sql(dialect=spec.dialect, normalize=True, comments=False))
