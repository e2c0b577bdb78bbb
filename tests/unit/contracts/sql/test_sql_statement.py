"""Reading one SELECT within a bound of steps."""

from __future__ import annotations

import pytest

from shared.contracts.sql import canonicalise_sql
from shared.contracts.sql.ddl import DIALECTS
from shared.contracts.sql.statement import parse_select
from shared.errors import InvalidInput
from tests.unit.contracts.sql.schemas import SALES, nested

LOOPS = {
    "joins": "SELECT a FROM t" + " JOIN t" * 18,
    "left joins": "SELECT a FROM t" + " LEFT JOIN t" * 18,
    "joins with conditions too late": "SELECT a FROM t" + " JOIN t" * 18 + " WHERE a" + " ON 1" * 18,
    "joins to tables named like conditions": "SELECT a FROM t" + " JOIN t AS on" * 18,
    "joins in a subquery": "SELECT a FROM t WHERE a IN (SELECT a FROM t" + " JOIN t" * 18 + ")",
}


class TestParseSelect:
    """`parse_select`."""

    @pytest.mark.parametrize("dialect", DIALECTS)
    @pytest.mark.parametrize("text", LOOPS.values(), ids=LOOPS)
    def test_ends_on_loops(self, text: str, dialect: str) -> None:
        """What sqlglot reads again with each JOIN is refused after as many steps as its length allows."""
        node, fault = parse_select(text, dialect)

        assert node is None
        assert fault.startswith("Takes more than ")
        assert fault.endswith(" steps to parse: write the ON of each JOIN directly after its table, and nest less.")

    @pytest.mark.parametrize("dialect", DIALECTS)
    @pytest.mark.parametrize(
        "text",
        [
            "SELECT x.a FROM t AS x" + " JOIN t ON x.a = t.b" * 1_500,
            "SELECT a FROM t" + " JOIN t" * 9,
            "SELECT a FROM t WHERE a IN (" + "1, " * 9_000 + "1)",
            "SELECT a FROM t WHERE " + "a = 1 OR " * 3_000 + "a = 1",
            "SELECT a FROM " + "(SELECT a FROM " * 20 + "t" + ")" * 20,
        ],
        ids=["joins", "joins without ON", "list", "disjunction", "subqueries"],
    )
    def test_takes_all_through_which_the_parser_knows_its_way(self, text: str, dialect: str) -> None:
        """The bound grows with the tokens: no statement is too long for it."""
        node, fault = parse_select(text, dialect)

        assert fault == ""
        assert node is not None

    def test_a_loop_has_no_canonical_spelling(self) -> None:
        """A golden statement that loops is outside of its contract, as one that is no SQL."""
        with pytest.raises(InvalidInput, match=r"steps to parse: write the ON of each JOIN") as caught:
            canonicalise_sql(nested(SALES), "SELECT id FROM orders" + " JOIN orders" * 18)

        assert caught.value.reason == "CONTRACT_VIOLATED"
