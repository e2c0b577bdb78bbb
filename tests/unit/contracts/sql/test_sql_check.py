"""The checker: independent of the language, stricter than SQLite alone."""

from __future__ import annotations

import pytest

from shared.contracts.sql import check_sql
from tests.unit.contracts.sql.schemas import SALES, flat


class TestCheckSql:
    """One SELECT, read-only, over what the DDL declares."""

    @pytest.mark.parametrize(
        "text",
        [
            "SELECT orders.id FROM orders",
            "SELECT o.id FROM orders AS o LEFT JOIN customers AS c ON o.customer_id = c.id WHERE c.city = 'x'",
            "SELECT id FROM orders UNION SELECT id FROM products",
        ],
    )
    def test_accepts_any_spelling_of_a_select(self, text: str) -> None:
        """The checker knows SQL, not the canonical form."""
        assert check_sql(flat(SALES), text) == ()

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "exactly one SELECT"),
            ("SELECT id FROM", "Not SQL"),
            ("SELECT 'open", "Not SQL"),
            ("SELECT id FROM orders; SELECT id FROM orders", "2 statements"),
            ("DELETE FROM orders", "Only SELECT"),
            ("PRAGMA table_info(orders)", "Only SELECT"),
            ("SELECT nothing FROM orders", "nothing"),
            ("SELECT id FROM nothing", "nothing"),
            ('SELECT id FROM orders WHERE status = "paid"', "paid"),
            ("SELECT total FROM orders WHERE no_such_function(total) = 1", "SQLite"),
            ("SELECT * FROM pragma_table_info('orders')", "SQLite"),
            ("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n", "SQLite"),
            ("SELECT id FROM orders WHERE " + "(" * 5000, "Not SQL"),
            ("SELECT id FROM orders" + " JOIN orders" * 18, "steps to parse"),
            ("SELECT id FROM orders -- " + "x" * 40_000, "the limit is"),
            ("SELECT id FROM orders WHERE status = '\x00'", "SQLite"),
        ],
    )
    def test_names_what_is_wrong(self, text: str, reason: str) -> None:
        """Every fault is one violation of the output."""
        faults = check_sql(flat(SALES), text)

        assert {"output"} == {fault.path for fault in faults}
        assert any(reason in fault.description for fault in faults)
