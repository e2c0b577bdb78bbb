"""SQL texts of any kind."""

from __future__ import annotations

import pytest

from shared.contracts.spec import ContractKind, ContractSpec
from trainer_svc.evaluation.boundary import read_boundaries
from trainer_svc.evaluation.statement import canonical_statement, is_select

SQL = ContractSpec(ContractKind.SQL, ddl="CREATE TABLE t (a INT, b INT);")
ENDLESS = {
    "joins": "SELECT a FROM t" + " JOIN t" * 60,
    "left joins": "SELECT a FROM t" + " LEFT JOIN t" * 60,
    "joins with conditions too late": "SELECT a FROM t" + " JOIN t" * 60 + " WHERE a" + " ON 1" * 60,
    "joins to tables named like conditions": "SELECT a FROM t" + " JOIN t AS on" * 60,
    "unions": "SELECT a FROM t " + "( UNION " * 60,
    "a long sum": "SELECT " + "a + " * 2_000 + "a FROM t",
    "negations": "SELECT " + "NOT " * 4_000 + "a FROM t",
    "parentheses": "SELECT " + "(" * 9_000,
    "a long list": "SELECT a FROM t WHERE a IN (" + "1, " * 9_000 + "1)",
}


class TestIsSelect:
    """`is_select`."""

    @pytest.mark.parametrize(
        "text",
        [
            "SELECT a FROM t",
            "SELECT x.a FROM t AS x" + " JOIN t ON x.a = t.b" * 60,
            "SELECT t.a FROM t JOIN t AS x JOIN t AS y ON x.a = y.a AND t.b = x.b",
            "SELECT a FROM t" + " CROSS JOIN t" * 60,
            "SELECT a FROM t" + " NATURAL JOIN t" * 60,
            "SELECT a FROM t" + ", t" * 60,
            "SELECT a FROM t WHERE " + "a = 1 OR " * 60 + "b = 1",
            "SELECT a FROM t WHERE a IN (" + "1, " * 2_000 + "1)",
            "SELECT a FROM t WHERE " + "a IN (SELECT a FROM t WHERE " * 9 + "b" + ")" * 9,
        ],
    )
    def test_takes_long_statements(self, text: str) -> None:
        """As long as sqlglot knows its way through them."""
        assert is_select(text, "sqlite")

    @pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS)
    def test_ends_on_loops(self, text: str) -> None:
        """What a model writes that repeats itself is no statement, and everything that reads it comes to an end."""
        assert not is_select(text, "sqlite")
        assert canonical_statement(SQL, text) == text
        assert not read_boundaries(text, ()).values
