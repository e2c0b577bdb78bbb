# ruff: noqa: E501 - a statement and its canonical spelling stand side by side
"""Any spelling of a statement becomes the one of the language, with the same answer."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from shared.contracts.sql import canonicalise_sql, check_sql
from shared.contracts.sql.profile import language_of
from shared.errors import InvalidInput
from tests.derivation import RandomTexts
from tests.unit.contracts.sql.rows import answer, database
from tests.unit.contracts.sql.schemas import ALL, SALES, UNDECLARED, flat

SPELLINGS = [
    ('select c.NAME from Customers as c where c.City = "Oslo";', "SELECT customers.name FROM customers WHERE customers.city = 'Oslo'"),
    ("SELECT name FROM customers WHERE 5 < id AND NOT city = 'a'", "SELECT customers.name FROM customers WHERE customers.id > 5 AND customers.city <> 'a'"),
    ("SELECT name FROM customers WHERE city NOT LIKE 'a%'", "SELECT customers.name FROM customers WHERE customers.city NOT LIKE 'a%'"),
    ("SELECT name FROM customers WHERE NOT (city NOT LIKE 'a%' OR id IS NULL)", "SELECT customers.name FROM customers WHERE customers.city LIKE 'a%' AND customers.id IS NOT NULL"),
    ("SELECT COUNT(1), MAX(DISTINCT id) n FROM customers ORDER BY name ASC", None),
    ("SELECT o.id FROM orders o, customers c WHERE o.customer_id = c.id AND c.city = 'x'", "SELECT orders.id FROM orders JOIN customers ON orders.customer_id = customers.id WHERE customers.city = 'x'"),
    ("SELECT c.city, COUNT(*) AS n FROM customers c GROUP BY 1 HAVING n > 2 ORDER BY n DESC, 1 LIMIT 3", "SELECT customers.city, COUNT(*) FROM customers GROUP BY customers.city HAVING COUNT(*) > 2 ORDER BY COUNT(*) DESC, customers.city LIMIT 3"),
    ("SELECT * FROM orders WHERE (id = 1 OR id = 2) AND total > 1e3", "SELECT orders.id, orders.customer_id, orders.status, orders.total FROM orders WHERE orders.id = 1 AND orders.total > 1000 OR orders.id = 2 AND orders.total > 1000"),
    ("SELECT id FROM orders WHERE status = 5 AND id = '7' AND status IN (1.50)", "SELECT orders.id FROM orders WHERE orders.status = '5' AND orders.id = 7 AND orders.status IN ('1.5')"),
    ("SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.total = (SELECT MAX(total) FROM orders) AND c.city = 'x'", "SELECT orders.id FROM orders JOIN customers ON orders.customer_id = customers.id WHERE customers.city = 'x' AND orders.total = (SELECT MAX(orders.total) FROM orders)"),
    ("SELECT name FROM customers WHERE name = \"it's\"", "SELECT customers.name FROM customers WHERE customers.name = 'it''s'"),
]  # fmt: skip
OUTSIDE = [
    ("SELECT a.id FROM orders a, orders b WHERE a.id = b.id", "self-join"),
    ("SELECT d.id FROM (SELECT id FROM orders) d", "derived table"),
    ("SELECT orders.id FROM orders, products", "no join edge connects orders and products"),
    ("SELECT orders.id FROM orders JOIN customers ON orders.id = customers.id", "not joined along an allowed edge"),
    ("SELECT orders.id FROM orders LEFT JOIN customers ON orders.customer_id = customers.id", "outer join"),
    ("SELECT id FROM orders UNION SELECT id FROM products", "UNION"),
    ("SELECT id + 1 FROM orders", "ADD"),
    ("SELECT upper(status) FROM orders", "UPPER"),
    ("SELECT id FROM orders WHERE EXISTS (SELECT 1 FROM products)", "EXISTS"),
    ("SELECT id FROM orders LIMIT 5 OFFSET 2", "OFFSET"),
    ("SELECT id FROM orders LIMIT 10000", "1 to 9999"),
    ("SELECT id FROM orders ORDER BY COUNT(*)", "ORDER BY an aggregate without GROUP BY"),
    ("SELECT id FROM orders ORDER BY id COLLATE NOCASE", "COLLATE"),
    ("SELECT id FROM orders ORDER BY id NULLS LAST", "NULLS"),
    ("SELECT id FROM orders WHERE id BETWEEN SYMMETRIC 2 AND 1", "SYMMETRIC"),
    ("SELECT id FROM orders WHERE status LIKE 'a!%' ESCAPE '!'", "ESCAPE"),
    ("SELECT id FROM orders INDEXED BY x", "INDEXED"),
    ("SELECT COUNT(*) FILTER (WHERE id > 1) FROM orders", "FILTER"),
    ("SELECT SUM(id) OVER () FROM orders", "WINDOW"),
    ("WITH x AS (SELECT 1) SELECT id FROM orders", "WITH"),
    ("SELECT nothing FROM orders", "column 'nothing' does not exist"),
    ("SELECT id FROM nothing", "table 'nothing' does not exist"),
    ("SELECT products.id FROM orders", "'products' is not in FROM"),
    ("SELECT id FROM orders WHERE total = 'many'", "holds numbers"),
    ("SELECT SUM(status) FROM orders", "text column"),
    ("SELECT id FROM orders WHERE status = 'a\tb'", "control characters"),
    ("SELECT id FROM orders WHERE status = '\ud800'", "surrogate"),
    ("SELECT name FROM customers WHERE id IN (SELECT total FROM orders WHERE orders.id = customers.id)", "correlated"),
    ("SELECT id FROM orders; SELECT id FROM orders", "2 statements"),
    ("DROP TABLE orders", "Only SELECT"),
    ("SELECT", "outside the contract"),
    ("not sql at all '", "Not SQL"),
    ("", "exactly one SELECT"),
]  # fmt: skip


class TestCanonicaliseSql:
    """From any spelling to the language."""

    @pytest.mark.parametrize(("text", "expected"), SPELLINGS)
    def test_equivalent_spellings_become_one(self, text: str, expected: str | None) -> None:
        """Aliases, implicit joins, double-quoted strings, positions and parentheses are rewritten, the answer stays."""
        canonical = canonicalise_sql(flat(SALES), text)

        assert expected in (canonical, None)
        assert check_sql(flat(SALES), canonical) == ()
        for seed in range(5):
            connection = database(SALES, seed)
            assert answer(connection, text) == answer(connection, canonical)

    @pytest.mark.parametrize("name", ALL)
    def test_a_text_of_the_language_is_its_own_canonical_spelling(self, name: str) -> None:
        """Canonicalising what the automaton spells changes nothing."""
        drawer = RandomTexts(language_of(flat(ALL[name])).grammar, random.Random(1), eagerness=0.45)
        members = [drawer.draw() for _ in range(120)]

        assert members == [canonicalise_sql(flat(ALL[name]), text) for text in members]

    @pytest.mark.parametrize(("text", "reason"), OUTSIDE)
    def test_what_lies_outside_is_refused_by_name(self, text: str, reason: str) -> None:
        """The violation says which part of the statement the language has not."""
        with pytest.raises(InvalidInput) as caught:
            canonicalise_sql(flat(SALES), text)

        assert caught.value.reason == "CONTRACT_VIOLATED"
        assert reason in caught.value.message

    @pytest.mark.parametrize("piece", ["(", "NOT (", "SELECT id FROM orders WHERE id IN ("])
    def test_deep_nesting_is_a_violation(self, piece: str) -> None:
        """Parentheses by the thousand end in a violation, never in a crash."""
        with pytest.raises(InvalidInput) as caught:
            canonicalise_sql(flat(SALES), "SELECT id FROM orders WHERE " + piece * 700 + "id = 1")

        assert caught.value.reason == "CONTRACT_VIOLATED"

    def test_random_mutations_never_raise_anything_else(self) -> None:
        """Whatever a text looks like, the answer is a member of the language or InvalidInput."""
        rng = random.Random(3)
        seeds = [text for text, _ in SPELLINGS] + [text for text, _ in OUTSIDE if text]
        outcomes = Counter[str]()
        for _ in range(400):
            text = rng.choice(seeds)
            start, end = sorted(rng.randrange(len(text) + 1) for _ in range(2))
            text = (
                text[:start] + rng.choice(["", "(", ")", "'", '"', " NOT ", ",", "*", text[start:end] * 2]) + text[end:]
            )
            try:
                assert check_sql(flat(SALES), canonicalise_sql(flat(SALES), text)) == ()
                outcomes["canonical"] += 1
            except InvalidInput as err:
                outcomes[err.reason] += 1

        assert {"canonical", "CONTRACT_VIOLATED"} == set(outcomes)


class TestUntypedColumns:
    """Columns declared without a type take numbers and texts."""

    def test_long_conditions_stay_fast(self) -> None:
        """A hundred comparisons are matched at once: no condition can be read in two ways."""
        ddl = "CREATE TABLE t (a, b)"
        text = "SELECT t.a FROM t WHERE " + " AND ".join(["t.a = t.b"] * 100)

        assert text == canonicalise_sql(flat(ddl), text)
        assert language_of(flat(ddl)).pattern.fullmatch(text + " AND") is None

    def test_one_list_holds_one_kind(self) -> None:
        """Numbers and texts after one IN or BETWEEN are outside the language."""
        for condition in ("a IN (1, 'x')", "a BETWEEN 1 AND 'x'"):
            with pytest.raises(InvalidInput, match="numbers and texts at once"):
                canonicalise_sql(flat("CREATE TABLE t (a)"), f"SELECT a FROM t WHERE {condition}")


class TestUndeclaredJoins:
    """A schema without foreign keys."""

    def test_joins_along_common_names(self) -> None:
        """Tables join where their columns have one name, in the order of the DDL."""
        text = 'SELECT CITYalias0.CITY_NAME FROM CITY AS CITYalias0 , STATE AS S WHERE S.STATE_NAME = CITYalias0.STATE_NAME AND S.CAPITAL = "x"'

        assert (
            canonicalise_sql(flat(UNDECLARED), text)
            == "SELECT city.city_name FROM state JOIN city ON state.state_name = city.state_name WHERE state.capital = 'x'"
        )


@pytest.mark.real_data
class TestGeoQuery:
    """The real golden dataset."""

    @pytest.mark.parametrize(("split", "floor"), [("train", 0.93), ("holdout", 0.90)])
    def test_coverage(self, real_data: Path, split: str, floor: float) -> None:
        """Nearly all questions have a canonical statement, and each answers as the original does."""
        folder = real_data / "geography"
        ddl = (folder / "schema.sql").read_text()
        connection = sqlite3.connect(f"{(folder / 'database.sqlite').as_uri()}?mode=ro", uri=True)
        rows = [json.loads(line)["output"] for line in (folder / f"{split}.jsonl").read_text().splitlines()]
        covered, outside = 0, Counter[str]()
        for text in rows:
            try:
                canonical = canonicalise_sql(flat(ddl), text)
            except InvalidInput as err:
                outside[err.violations[0].description[:50]] += 1
                continue
            covered += 1
            assert answer(connection, text) == answer(connection, canonical)

        print(f"{split}: {covered}/{len(rows)} = {covered / len(rows):.1%}; outside: {outside.most_common(5)}")  # noqa: T201 - the measured number
        assert covered / len(rows) >= floor
