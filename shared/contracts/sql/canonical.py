"""Any spelling of a SELECT to the one that the language of its schema holds."""

from __future__ import annotations

from shared.contracts.spec import ContractSpec
from shared.contracts.sql.check import MAX_SQL_CHARACTERS
from shared.contracts.sql.flat_writer import FlatWriter
from shared.contracts.sql.nested_writer import NestedWriter
from shared.contracts.sql.profile import language_of
from shared.contracts.sql.refusal import violated
from shared.contracts.sql.shape import check_shape
from shared.contracts.sql.statement import parse_select


def canonicalise_sql(spec: ContractSpec, text: str) -> str:
    """The canonical spelling of `text`: a statement of the language, with the same answer on every database.

    Aliases go; every column is qualified; double-quoted strings, implicit joins, stars, ordinals, DISTINCT where it
    means nothing and parentheses are rewritten; AND-ed predicates keep their order, except that one which the language
    has only in the last place moves there. Idempotent. Raises `InvalidInput` (`CONTRACT_VIOLATED`) saying what lies
    outside the language, and what `language_of` raises.
    """
    language = language_of(spec)
    if len(text) > MAX_SQL_CHARACTERS:
        raise violated([f"{len(text)} characters; the limit is {MAX_SQL_CHARACTERS}"])
    node, fault = parse_select(text.strip().rstrip("; \t\r\n"), spec.dialect)
    if node is None:
        raise violated([fault])
    try:
        check_shape(node, is_nested=language.is_nested)
        writer = NestedWriter(language) if language.is_nested else FlatWriter(language)
        canonical = writer.statement(node)
        is_member = language.contains(canonical)
    except RecursionError as err:
        raise violated(["nested too deeply"]) from err
    if not is_member:
        raise violated([f"not in the language of this schema: {canonical[:200]}"])
    return canonical
