"""The language of a schema: sound, small, read-only."""

from __future__ import annotations

import hashlib
import random

import outlines_core
import pytest

from shared.contracts.grammar.expression import regex
from shared.contracts.sql import check_sql, lower_sql
from shared.contracts.sql.language import Profile
from shared.contracts.sql.profile import MAX_STATES, language_of
from shared.errors import InvalidInput
from tests.derivation import RandomTexts
from tests.unit.contracts.sql.schemas import ALL, PARALLEL, SALES, UNDECLARED, WIDE, flat


def automaton_states(pattern: str) -> int:
    """States of the automaton over single bytes, built as contracts are."""
    vocabulary = outlines_core.Vocabulary(256, {bytes([byte]): [byte] for byte in range(256)})
    return len(outlines_core.Index(rf"\x00(?:{pattern})\z", vocabulary).get_transitions())


class TestSoundness:
    """What the automaton can spell is a valid statement."""

    @pytest.mark.parametrize("ddl", [*ALL.values(), WIDE], ids=[*ALL, "wide"])
    def test_every_random_text_is_valid_sql(self, ddl: str) -> None:
        """Random texts of the language parse, name existing columns and are prepared by SQLite."""
        drawer = RandomTexts(language_of(flat(ddl)).grammar, random.Random(0), eagerness=0.45)

        faults = [(text, check_sql(flat(ddl), text)) for text in (drawer.draw() for _ in range(120))]

        assert [fault for fault in faults if fault[1]] == []

    @pytest.mark.parametrize(
        "text",
        [
            "DELETE FROM orders",
            "INSERT INTO orders VALUES (1)",
            "UPDATE orders SET total = 1",
            "DROP TABLE orders",
            "PRAGMA table_info(orders)",
            "ATTACH 'x' AS y",
            "SELECT orders.id FROM orders; DELETE FROM orders",
            "SELECT orders.id FROM orders --",
            "SELECT load_extension('x') FROM orders",
            "SELECT customers.name FROM orders",
            "SELECT orders.id FROM orders JOIN products ON orders.id = products.id",
            "SELECT orders.id FROM orders WHERE orders.status = 'a\n'",
            "",
        ],
    )
    def test_no_other_text_is_in_the_language(self, text: str) -> None:
        """Writes, second statements, comments, functions and columns out of scope cannot be spelled."""
        assert language_of(flat(SALES)).pattern.fullmatch(text) is None

    @pytest.mark.parametrize(
        "text",
        [
            "SELECT COUNT(*) FROM orders",
            "SELECT DISTINCT customers.city FROM customers WHERE customers.name LIKE '%' OR customers.id IN (1)",
            (
                "SELECT customers.name, SUM(orders.total) FROM orders "
                "JOIN customers ON orders.customer_id = customers.id "
                "GROUP BY customers.name HAVING COUNT(*) > 3 ORDER BY SUM(orders.total) DESC LIMIT 5"
            ),
            (
                "SELECT products.title FROM order_items JOIN orders ON order_items.order_id = orders.id JOIN products "
                "ON order_items.product_id = products.id WHERE orders.status = 'paid'"
            ),
            (
                "SELECT products.title FROM products WHERE products.price = (SELECT MAX(products.price) FROM products "
                "WHERE products.category = 'x') AND products.category = 'x' ORDER BY products.title"
            ),
            (
                "SELECT customers.name FROM customers WHERE customers.id NOT IN (SELECT orders.customer_id FROM orders "
                "WHERE orders.id IN (SELECT order_items.order_id FROM order_items WHERE order_items.quantity > 2.5))"
            ),
        ],
    )
    def test_usual_questions_are_in_the_language(self, text: str) -> None:
        """Joins of two and three tables, grouping, ordering and nested subqueries are spelled as documented."""
        assert language_of(flat(SALES)).pattern.fullmatch(text)


class TestSize:
    """The automaton fits, by an estimate that never flatters."""

    @pytest.mark.parametrize("name", ALL)
    def test_the_estimate_bounds_the_automaton(self, name: str) -> None:
        """The automaton has no more states than were estimated."""
        language = language_of(flat(ALL[name]))

        states = automaton_states(regex(language.expression.expression))

        assert 0 < states <= language.expression.states <= MAX_STATES

    def test_a_larger_schema_gets_a_smaller_profile_and_says_so(self) -> None:
        """What does not fit is left out and named in the verdicts."""
        notes = {verdict.pointer: verdict.note for verdict in lower_sql(flat(WIDE)).verdicts}

        assert language_of(flat(WIDE)).profile == Profile(2, free_subqueries=False, max_depth=3)
        assert "left out" in notes["join"]
        assert "left out" in notes["subquery"]

    def test_a_schema_that_never_fits_is_refused_with_its_size(self) -> None:
        """A thousand columns without common beginnings are too large, in numbers."""
        names = [hashlib.sha256(bytes([number % 256, number // 256])).hexdigest() for number in range(900)]
        columns = ", ".join(f"c{name[:20]} INT" for name in names)

        with pytest.raises(InvalidInput, match="1 tables with 900 columns") as caught:
            lower_sql(flat(f"CREATE TABLE t ({columns})"))

        assert caught.value.reason == "CONTRACT_TOO_LARGE"

    def test_the_same_ddl_always_gives_the_same_expression(self) -> None:
        """Nothing of the language depends on the order of a set."""
        first = lower_sql(flat(SALES)).grammar
        language_of.cache_clear()

        assert first == lower_sql(flat(SALES)).grammar


class TestJoins:
    """Which tables may stand together in FROM."""

    def test_parallel_keys_are_alternatives(self) -> None:
        """A flight joins its airport by source or by target."""
        language = language_of(flat(PARALLEL))

        assert [tree.text for tree in language.by_names[frozenset(["flight", "airport"])].trees] == [
            "flight JOIN airport ON flight.source = airport.id",
            "flight JOIN airport ON flight.target = airport.id",
        ]

    def test_without_declared_keys_common_names_are_joins(self) -> None:
        """Equal text columns join two tables, equal measures do not; the verdicts report it."""
        notes = {verdict.pointer: verdict.note for verdict in lower_sql(flat(UNDECLARED)).verdicts}

        trees = language_of(flat(UNDECLARED)).by_names[frozenset(["city", "state"])].trees

        assert [tree.text for tree in trees] == ["state JOIN city ON state.state_name = city.state_name"]
        assert "1 joins inferred from column names" in notes["join"]
