"""Generated databases: statements that differ give different results on one of them."""

from __future__ import annotations

import pytest

from trainer_svc.evaluation.database import result
from trainer_svc.evaluation.execution import is_same_on_instances
from trainer_svc.evaluation.instances import InstanceMaker

DDL = """
CREATE TABLE state (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, area REAL);
CREATE TABLE city (
    name TEXT, people INT CHECK (people >= 0), state INTEGER REFERENCES state, twin INTEGER REFERENCES state(id),
    founded TEXT NOT NULL
);
CREATE TABLE log (a TEXT, b TEXT);
"""
_JOIN = "FROM city JOIN state ON city.state = state.id"


@pytest.fixture(scope="module")
def maker() -> InstanceMaker:
    """Of the tables above."""
    return InstanceMaker(DDL)


class TestInstances:
    """What is told apart, and what is not."""

    @pytest.mark.parametrize(
        ("golden", "generated"),
        [
            ("SELECT name FROM city WHERE people > 150000", "SELECT name FROM city WHERE people >= 150000"),
            ("SELECT name FROM city WHERE people > 150000", "SELECT name FROM city WHERE people > 150001"),
            ("SELECT name FROM city WHERE people < 5", "SELECT name FROM city WHERE people <= 5"),
            ("SELECT name FROM city WHERE people BETWEEN 3 AND 9",
             "SELECT name FROM city WHERE people > 3 AND people <= 9"),
            ("SELECT COUNT(*) FROM city WHERE people > 5 AND founded = '1900'",
             "SELECT COUNT(*) FROM city WHERE people > 5 OR founded = '1900'"),
            ("SELECT COUNT(*) FROM city WHERE people > 5 AND founded = '1900'",
             "SELECT COUNT(*) FROM city WHERE people > 5"),
            ("SELECT MIN(people) FROM city WHERE people < 7", "SELECT MIN(people) FROM city WHERE people <= 7"),
            ("SELECT DISTINCT founded FROM city", "SELECT founded FROM city"),
            ("SELECT COUNT(*) FROM city", "SELECT COUNT(name) FROM city"),
            ("SELECT COUNT(name) FROM city", "SELECT COUNT(DISTINCT name) FROM city"),
            ("SELECT MIN(people) FROM city", "SELECT MAX(people) FROM city"),
            ("SELECT SUM(people) FROM city", "SELECT AVG(people) FROM city"),
            ("SELECT COUNT(*) FROM city", "SELECT 0"),
            (f"SELECT city.name {_JOIN}", "SELECT city.name FROM city JOIN state ON city.twin = state.id"),
            (f"SELECT city.name {_JOIN}", "SELECT city.name FROM city"),
            (f"SELECT state.name {_JOIN} WHERE state.area > 2.5", f"SELECT state.name {_JOIN} WHERE state.area > 4"),
            (f"SELECT state.name {_JOIN}", "SELECT state.name FROM state LEFT JOIN city ON city.state = state.id"),
            (f"SELECT state.name {_JOIN}", "SELECT name FROM state WHERE id IN (SELECT state FROM city)"),
            ("SELECT name FROM city ORDER BY people DESC LIMIT 1", "SELECT name FROM city ORDER BY people LIMIT 1"),
            ("SELECT name FROM city ORDER BY people LIMIT 3", "SELECT name FROM city ORDER BY people LIMIT 4"),
            ("SELECT name FROM city ORDER BY people DESC LIMIT 1",
             "SELECT name FROM city WHERE people = (SELECT MAX(people) FROM city)"),
            ("SELECT founded FROM city GROUP BY founded HAVING COUNT(*) > 2",
             "SELECT founded FROM city GROUP BY founded HAVING COUNT(*) >= 2"),
            ("SELECT name FROM city WHERE people IS NULL", "SELECT name FROM city WHERE people = 0"),
            ("SELECT name FROM city WHERE founded LIKE 'a%'", "SELECT name FROM city WHERE founded LIKE '%a%'"),
            ("SELECT name FROM city WHERE founded = 'Rome'", "SELECT name FROM city WHERE LOWER(founded) = 'rome'"),
            ("SELECT name FROM city WHERE founded IN ('x', 'y')", "SELECT name FROM city WHERE founded = 'x'"),
            ("SELECT a FROM log WHERE a = b", "SELECT a FROM log"),
            ("SELECT people FROM city WHERE name NOT IN (SELECT a FROM log)",
             "SELECT people FROM city WHERE NOT EXISTS (SELECT 1 FROM log WHERE a = name)"),
        ],
    )  # fmt: skip
    def test_tells_mistakes_apart(self, maker: InstanceMaker, golden: str, generated: str) -> None:
        """The mistakes that models make, each in both directions."""
        assert not is_same_on_instances(maker, golden, generated)
        assert not is_same_on_instances(maker, generated, golden)

    @pytest.mark.parametrize(
        ("golden", "generated"),
        [
            (f"SELECT city.name {_JOIN}", "SELECT c.name FROM state AS s JOIN city AS c ON s.id = c.state"),
            (f"SELECT city.name {_JOIN}", "SELECT name FROM city WHERE state IS NOT NULL"),
            ("SELECT name FROM city WHERE people > 5", "SELECT name FROM city WHERE people >= 6"),
            ("SELECT name FROM city WHERE people >= 0 OR people IS NULL", "SELECT name FROM city"),
            ("SELECT COUNT(*) FROM state", "SELECT COUNT(DISTINCT name) FROM state"),
            ("SELECT COUNT(founded) FROM city", "SELECT COUNT(*) FROM city"),
            ("SELECT name FROM city WHERE people IN (1, 2)", "SELECT name FROM city WHERE people = 2 OR people = 1"),
        ],
    )
    def test_keeps_the_constraints(self, maker: InstanceMaker, golden: str, generated: str) -> None:
        """What is equal by a key, a UNIQUE, a NOT NULL, a CHECK or a type is equal."""
        assert is_same_on_instances(maker, golden, generated)

    def test_are_the_same_in_every_run(self, maker: InstanceMaker) -> None:
        """Two models are compared on the same rows."""
        statement = f"SELECT city.name {_JOIN} WHERE people > 3"

        first, second = (
            [result(database, "SELECT * FROM city, state", 100) for database in made.databases(statement)]
            for made in (maker, InstanceMaker(DDL))
        )

        assert first == second
        assert len(set(map(str, first))) > 5

    def test_hold_no_dangling_key(self, maker: InstanceMaker) -> None:
        """Each reference leads to a row, or to nothing."""
        for database in maker.databases(f"SELECT city.name {_JOIN}"):
            dangling = result(database, "SELECT * FROM city WHERE state NOT IN (SELECT id FROM state)", 100)

            assert dangling == []

    @pytest.mark.parametrize(
        "ddl",
        [
            "CREATE TABLE a (x INTEGER REFERENCES b(y)); CREATE TABLE b (y INTEGER PRIMARY KEY REFERENCES a(x));",
            "CREATE TABLE a (x INTEGER REFERENCES nowhere(y));",
            "CREATE TABLE a (x INTEGER, y INTEGER AS (x + 1), UNIQUE (x, y));",
            "CREATE TABLE a (x INTEGER, CHECK (x > 5));",
            'CREATE TABLE "a" ("x" ANY) STRICT;',
            "CREATE TABLE a (x INTEGER PRIMARY KEY) WITHOUT ROWID;",
        ],
    )
    def test_takes_every_ddl_that_sqlite_takes(self, ddl: str) -> None:
        """Rings of keys, keys to nowhere, generated columns, strict tables."""
        made = InstanceMaker(ddl)

        counts = [result(database, "SELECT COUNT(*) FROM a", 100) for database in made.databases("SELECT x FROM a")]

        assert counts[0] == [(0,)]
        assert any(count != [(0,)] for count in counts)

    def test_a_golden_statement_that_never_runs_is_matched_by_none(self, maker: InstanceMaker) -> None:
        """Without a result there is nothing to compare."""
        assert not is_same_on_instances(maker, "SELECT nothing FROM city", "SELECT name FROM city")
