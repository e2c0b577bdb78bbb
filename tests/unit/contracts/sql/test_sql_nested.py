# ruff: noqa: E501 - a statement and its canonical spelling stand side by side
"""The nested profile: SELECTs wherever a value, a set or a table may stand; sound, bounded, canonical."""

from __future__ import annotations

import random
import sqlite3

import pytest

from shared.contracts.grammar.expression import Chars, Text
from shared.contracts.spec import ContractSpec, JoinEdge
from shared.contracts.sql import canonicalise_sql, check_sql, coverage_of, lower_sql
from shared.contracts.sql.check import explain, open_empty
from shared.contracts.sql.declared import schema_of
from shared.contracts.sql.nested import MAX_DEPTH
from shared.contracts.sql.profile import language_of
from shared.errors import InvalidInput
from tests.derivation import RandomTexts
from tests.unit.contracts.sql.rows import answer, database
from tests.unit.contracts.sql.schemas import ALL, PARALLEL, SALES, WIDE, flat, nested

SPELLINGS = [
    ("SELECT total / id FROM orders", "SELECT orders.total / orders.id FROM orders"),
    ("SELECT SUM(total) / COUNT(1) + 1 AS x FROM orders", None),
    ("SELECT MAX(total - id) FROM orders WHERE total - id > 2 * id", "SELECT MAX(orders.total - orders.id) FROM orders WHERE orders.total - orders.id > 2 * orders.id"),
    ("SELECT a.id FROM orders a CROSS JOIN customers b WHERE b.id = a.customer_id", "SELECT orders.id FROM orders JOIN customers ON orders.customer_id = customers.id"),
    ("SELECT a.id, b.id FROM orders a, orders b WHERE a.customer_id = b.customer_id AND a.id < b.id", "SELECT orders.id, orders_2.id FROM orders JOIN orders AS orders_2 ON orders.customer_id = orders_2.customer_id WHERE orders.id < orders_2.id"),
    ("SELECT MAX(n) FROM (SELECT COUNT(*) AS n, status FROM orders GROUP BY status) AS x", "SELECT MAX(derived.c_1) FROM (SELECT COUNT(*) AS c_1, orders.status AS c_2 FROM orders GROUP BY orders.status) AS derived"),
    ("SELECT d.* FROM (SELECT id k, total FROM orders) d WHERE d.k > 3", "SELECT derived.c_1, derived.c_2 FROM (SELECT orders.id AS c_1, orders.total AS c_2 FROM orders) AS derived WHERE derived.c_1 > 3"),
    ("SELECT status FROM orders GROUP BY status HAVING COUNT(*) = (SELECT MAX(n) FROM (SELECT COUNT(*) n FROM orders GROUP BY status) t)", None),
    ("SELECT status s, AVG(total) m FROM orders GROUP BY s HAVING m BETWEEN 1 AND 3 OR COUNT(id) > SUM(total) ORDER BY m DESC, AVG(total) / COUNT(*)", None),
    ("SELECT id FROM orders WHERE EXISTS (SELECT 1 FROM products WHERE price > 1)", "SELECT orders.id FROM orders WHERE EXISTS (SELECT products.id FROM products WHERE products.price > 1)"),
    ("SELECT id FROM orders WHERE NOT EXISTS (SELECT * FROM products WHERE price > 99)", "SELECT orders.id FROM orders WHERE NOT EXISTS (SELECT products.id FROM products WHERE products.price > 99)"),
    ("SELECT id FROM orders UNION SELECT id FROM products UNION SELECT id FROM customers", "SELECT orders.id FROM orders UNION SELECT products.id FROM products UNION SELECT customers.id FROM customers"),
    ("SELECT id FROM orders WHERE id IN (SELECT id FROM products EXCEPT SELECT id FROM customers WHERE id > 4)", None),
    ("SELECT DISTINCT x.a FROM (SELECT id a FROM orders UNION ALL SELECT id FROM products) x", "SELECT DISTINCT derived.c_1 FROM (SELECT orders.id AS c_1 FROM orders UNION ALL SELECT products.id AS c_1 FROM products) AS derived"),
    ("SELECT id FROM orders ORDER BY id LIMIT 5 OFFSET 2", "SELECT orders.id FROM orders ORDER BY orders.id LIMIT 5 OFFSET 2"),
    ("SELECT id FROM orders ORDER BY id LIMIT 5 OFFSET 0", "SELECT orders.id FROM orders ORDER BY orders.id LIMIT 5"),
    ("SELECT name FROM customers WHERE id IN (SELECT customer_id FROM orders o JOIN order_items i ON i.order_id = o.id WHERE i.quantity > 1 GROUP BY 1 ORDER BY COUNT(*) DESC LIMIT 3) AND city = 'a' ORDER BY name", None),
]  # fmt: skip
OUTSIDE = [
    ("SELECT a.id FROM orders a, orders b, orders c WHERE a.id = b.id AND b.id = c.id", "a self-join: table 'orders' stands in FROM 2 times"),
    ("SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM products WHERE products.id = o.id)", "correlated"),
    ("SELECT x.a, y.a FROM (SELECT id a FROM orders) x, (SELECT id a FROM orders) y", "join with a derived table"),
    ("SELECT x.a FROM (SELECT id a, id b, id c FROM orders) x", "derived table of 3 columns"),
    ("SELECT x.id FROM (SELECT * FROM orders) x", "with a star"),
    ("SELECT x.n FROM (SELECT o.* FROM (SELECT id n FROM orders) o) x", "with a star"),
    ("SELECT id FROM orders UNION SELECT id FROM products EXCEPT SELECT id FROM customers", "a chain of different set operations"),
    ("SELECT id FROM orders UNION SELECT id FROM products ORDER BY id", "ORDER BY or LIMIT after UNION"),
    ("SELECT id FROM orders UNION SELECT id, title FROM products", "different numbers of columns"),
    ("SELECT id FROM orders INTERSECT ALL SELECT id FROM products", "INTERSECT ALL"),
    ("SELECT id FROM orders WHERE SUM(id) + 1 > 2", "an aggregate in WHERE"),
    ("SELECT SUM(COUNT(*) + 1) FROM orders", "an aggregate inside another"),
    ("SELECT status + 1 FROM orders", "arithmetic with the text"),
    ("SELECT ((id + 1) * 2 + 3) * 4 FROM orders", "deeper than 2"),
    ("SELECT orders.id FROM orders LEFT JOIN customers ON orders.customer_id = customers.id", "outer join"),
    ("SELECT (SELECT MAX(id) FROM products) FROM orders", "neither a column nor an aggregate"),
    ("SELECT id FROM orders LIMIT 5 OFFSET 10000", "0 to 9999"),
    ("SELECT id FROM orders WHERE id IN " + "(SELECT id FROM orders WHERE id IN " * (MAX_DEPTH + 1) + "(1)" + ")" * (MAX_DEPTH + 1), f"nested {MAX_DEPTH + 1} deep"),
]  # fmt: skip


def deepest(kind: str) -> str:
    """The deepest statement of the profile, with as much around each level as SQLite's parser keeps on its stack."""
    left = "(orders.id + orders.total) - (orders.id * orders.id)"
    opening, end = {
        "in": ("SELECT orders.id FROM orders WHERE orders.id = 1 OR orders.id NOT IN (", ")"),
        "exists": ("SELECT orders.id FROM orders WHERE orders.id = 1 AND NOT EXISTS (", ")"),
        "having": ("SELECT orders.id FROM orders GROUP BY orders.id HAVING COUNT(*) > 1 AND SUM(orders.id) - (orders.id - 1) > (", ")"),
        "derived": ("SELECT derived.c_1 FROM (", " UNION SELECT orders.id AS c_1 FROM orders) AS derived WHERE derived.c_1 = 1"),
    }[kind]  # fmt: skip
    inner = "SELECT MAX(" + left + ") FROM orders"
    for _ in range(MAX_DEPTH):
        if kind == "derived" and " AS c_1" not in inner[:80]:
            inner = inner.replace(" FROM", " AS c_1 FROM", 1)
        inner = opening + inner + end
    return inner


class TestSoundness:
    """What the grammar derives is a valid statement."""

    @pytest.mark.parametrize("ddl", [*ALL.values(), WIDE], ids=[*ALL, "wide"])
    def test_every_random_text_is_valid_and_its_own_canonical_spelling(self, ddl: str) -> None:
        """Random derivations are prepared by SQLite, recognised, and changed in nothing by the canonicaliser."""
        spec = nested(ddl)
        grammar = lower_sql(spec).grammar
        assert grammar is not None
        texts = RandomTexts(grammar, random.Random(11))

        for text in [texts.draw() for _ in range(40)]:
            assert check_sql(spec, text) == (), text
            assert canonicalise_sql(spec, text) == text

    @pytest.mark.parametrize("kind", ["in", "exists", "having", "derived"])
    def test_the_deepest_statement_fits_the_parser(self, kind: str) -> None:
        """SQLite's parser stack of 100 entries holds every level that the grammar has."""
        connection = open_empty(schema_of(nested(SALES)))

        assert explain(connection, deepest(kind)) == ""
        connection.close()

    @pytest.mark.parametrize(
        "text",
        [
            "DELETE FROM orders",
            "SELECT orders.id FROM orders; SELECT orders.id FROM orders",
            "SELECT customers.id FROM orders",
            "SELECT orders.id FROM orders WHERE orders.id IN (SELECT products.id FROM products WHERE orders.id = 1)",
            "SELECT orders_2.id FROM orders",
            "SELECT derived.c_2 FROM (SELECT orders.id AS c_1 FROM orders) AS derived",
            "SELECT orders.id FROM orders WHERE orders.status = 'a",
            "SELECT orders.id FROM orders UNION SELECT orders.id, orders.total FROM orders",
            "",
        ],
    )
    def test_no_other_text_is_in_the_language(self, text: str) -> None:
        """Writes, second statements, columns out of scope and open strings cannot be spelled."""
        assert not language_of(nested(SALES)).contains(text)

    def test_no_lexical_unit_is_another_and_more_of_a_join(self) -> None:
        """Tables, keywords and columns are units of their own: a greedy lexer never has to step back."""
        grammar = lower_sql(nested(SALES)).grammar
        assert grammar is not None
        words = {text for rule in grammar.rules.values() for text in _texts(rule.expression)}

        assert {"orders", " JOIN ", " ON ", " AS ", "orders.customer_id"} <= words
        assert [word for word in words if " JOIN " in word.strip() or (" " in word.strip() and "." in word)] == []

    def test_the_same_spec_always_gives_the_same_grammar(self) -> None:
        """Nothing of the grammar depends on the order of a set."""
        first = lower_sql(nested(WIDE)).grammar
        language_of.cache_clear()

        assert first == lower_sql(nested(WIDE)).grammar


class TestCanonicalSpelling:
    """From any spelling to the one of the nested language."""

    @pytest.mark.parametrize(("text", "expected"), SPELLINGS)
    def test_equivalent_spellings_become_one(self, text: str, expected: str | None) -> None:
        """Aliases of copies, derived tables and their columns get the language's names; the answer stays."""
        canonical = canonicalise_sql(nested(SALES), text)

        assert expected in (canonical, None)
        assert canonicalise_sql(nested(SALES), canonical) == canonical
        for seed in range(5):
            connection: sqlite3.Connection = database(SALES, seed)
            assert answer(connection, text) == answer(connection, canonical)

    @pytest.mark.parametrize(("text", "reason"), OUTSIDE)
    def test_what_lies_outside_is_refused_by_name(self, text: str, reason: str) -> None:
        """The violation says which part of the statement the language has not."""
        with pytest.raises(InvalidInput) as caught:
            canonicalise_sql(nested(SALES), text)

        assert caught.value.reason == "CONTRACT_VIOLATED"
        assert reason in caught.value.message

    def test_either_of_two_keys_joins(self) -> None:
        """OR in ON between two declared keys stays in ON, in declared order."""
        text = "SELECT f.id FROM flight f JOIN airport a ON f.target = a.id OR a.id = f.source WHERE a.name = 'x'"

        assert canonicalise_sql(nested(PARALLEL), text) == (
            "SELECT flight.id FROM flight JOIN airport ON flight.source = airport.id OR flight.target = airport.id "
            "WHERE airport.name = 'x'"
        )


class TestCoverage:
    """Golden statements, row by row."""

    def test_each_row_says_why_it_is_outside_and_what_would_help(self) -> None:
        """A profile or a join edge that would bring a statement inside is named."""
        edge = "SELECT o.id FROM orders o JOIN products p ON o.status = p.category"
        statements = ["SELECT id FROM orders", "SELECT id + 1 FROM orders", edge, "SELECT upper(status) FROM orders"]

        coverage = coverage_of(flat(SALES), statements)

        assert [bool(row.canonical) for row in coverage.rows] == [True, False, False, False]
        assert coverage.ratio == 0.25
        assert [row.hint for row in coverage.rows] == [
            "",
            "the nested profile has this statement",
            "declare the join edge orders.status = products.category in the contract",
            "",
        ]
        assert sum(coverage.reasons().values()) == 3

    def test_the_named_edge_helps(self) -> None:
        """Declaring what the hint says brings the statement inside."""
        spec = ContractSpec(
            flat(SALES).kind, ddl=SALES, join_edges=(JoinEdge("orders", "status", "products", "category"),)
        )

        assert coverage_of(spec, ["SELECT o.id FROM orders o JOIN products p ON o.status = p.category"]).ratio == 1.0


def _texts(expression: object) -> list[str]:
    if isinstance(expression, Text):
        return [expression.text]
    if isinstance(expression, Chars):
        return []
    parts = getattr(expression, "items", None) or getattr(expression, "branches", None) or ()
    item = getattr(expression, "item", None)
    return [text for part in (*parts, *([item] if item else [])) for text in _texts(part)]
