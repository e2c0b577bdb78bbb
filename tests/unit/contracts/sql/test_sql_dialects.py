# ruff: noqa: E501 - a statement and its canonical spelling stand side by side
"""PostgreSQL, MySQL and DuckDB: their DDL, their quoting, and their strictness about types and groups."""

from __future__ import annotations

import random

import pytest

from shared.contracts.report import KeywordFate
from shared.contracts.spec import ContractSpec
from shared.contracts.sql import ColumnKind, canonicalise_sql, check_sql, lower_sql, read_schema
from shared.contracts.sql.profile import language_of
from shared.errors import InvalidInput
from tests.derivation import RandomTexts
from tests.unit.contracts.sql.schemas import flat, nested

_TABLES = """
CREATE TABLE City (
  id INT PRIMARY KEY, "Name" VARCHAR(40), founded DATE, area NUMERIC(8, 2), is_capital BOOLEAN, notes JSON
);
CREATE TABLE river (id BIGINT, name TEXT, city_id INT REFERENCES City (id), "select" DOUBLE PRECISION);
"""
DDL = {
    "postgres": _TABLES.replace("BIGINT", "BIGSERIAL").replace("JSON", "JSONB"),
    "mysql": _TABLES.replace('"', "`").replace("founded DATE", "founded DATETIME"),
    "duckdb": _TABLES.replace("BIGINT", "HUGEINT").replace("JSON", "STRUCT(x INT)"),
}
SPELLINGS = [
    ("postgres", 'SELECT c."Name", COUNT(*) FROM city c GROUP BY c."Name" ORDER BY COUNT(*) DESC, 1 LIMIT 3', 'SELECT "city"."Name", COUNT(*) FROM "city" GROUP BY 1 ORDER BY COUNT(*) DESC, 1 LIMIT 3'),
    ("postgres", "SELECT AVG(area) FROM City WHERE is_capital = true AND founded >= '1900-01-31'", "SELECT AVG(\"city\".\"area\") FROM \"city\" WHERE \"city\".\"is_capital\" = TRUE AND \"city\".\"founded\" >= '1900-01-31'"),
    ("mysql", 'SELECT r.`select` FROM river AS r WHERE r.name = "Po" AND r.city_id IS NOT NULL', "SELECT `river`.`select` FROM `river` WHERE `river`.`name` = 'Po' AND `river`.`city_id` IS NOT NULL"),
    ("duckdb", "SELECT MAX(area) - MIN(area), is_capital FROM CITY GROUP BY is_capital HAVING COUNT(*) > 2", 'SELECT MAX("City"."area") - MIN("City"."area"), "City"."is_capital" FROM "City" GROUP BY 2 HAVING COUNT(*) > 2'),
    ("duckdb", "SELECT DISTINCT a.id FROM City a JOIN river b ON b.city_id = a.id WHERE a.area > (SELECT AVG(area) FROM City)", 'SELECT DISTINCT "City"."id" FROM "river" JOIN "City" ON "river"."city_id" = "City"."id" WHERE "City"."area" > (SELECT AVG("City"."area") FROM "City")'),
]  # fmt: skip
OUTSIDE = [
    ("postgres", 'SELECT "Name", COUNT(*) FROM city', "stands beside an aggregate without GROUP BY"),
    ("postgres", 'SELECT "Name", COUNT(*) FROM city GROUP BY "Name", founded', "is not exactly what stands beside"),
    ("postgres", "SELECT id FROM river WHERE name = 5", "a number and a text"),
    ("postgres", 'SELECT id FROM river WHERE name = "Po"', "does not exist"),
    ("postgres", "SELECT id FROM city WHERE founded = '1900-02-30'", "a date 'YYYY-MM-DD'"),
    ("postgres", "SELECT id FROM city WHERE notes = 'x'", "no literal"),
    ("postgres", "SELECT id FROM city ORDER BY id NULLS FIRST", "NULLS"),
    ("duckdb", "SELECT SUM(founded) FROM City", "SUM of the date column"),
    ("duckdb", "SELECT DISTINCT id FROM City ORDER BY area", "ORDER BY beside DISTINCT"),
    ("mysql", "SELECT id FROM river WHERE name = 'a\\\\b'", "not in the language"),
    ("mysql", "SELECT id FROM river WHERE id IN (SELECT id FROM City ORDER BY id LIMIT 3)", "not in the language"),
]


def spec_of(dialect: str) -> ContractSpec:
    """The test's tables in a dialect."""
    return nested(DDL[dialect], dialect)


class TestDdl:
    """Types and names as the dialect has them."""

    def test_kinds_are_what_literals_can_stand_beside(self) -> None:
        """Numbers, texts, dates and booleans have literals; anything else is only read."""
        columns = read_schema(DDL["postgres"], "postgres").table("city").columns

        assert [column.kind for column in columns] == [
            ColumnKind.NUMBER,
            ColumnKind.TEXT,
            ColumnKind.DATE,
            ColumnKind.NUMBER,
            ColumnKind.BOOLEAN,
            ColumnKind.OTHER,
        ]

    def test_postgres_folds_names_without_quotes(self) -> None:
        """`City` is `city` to PostgreSQL, which stores `"Name"` as written."""
        schema = read_schema(DDL["postgres"], "postgres")

        assert schema.tables[0].name == "city"
        assert schema.tables[0].columns[1].name == "Name"

    def test_a_column_without_type_is_refused(self) -> None:
        """Only SQLite has columns of any type."""
        with pytest.raises(InvalidInput, match="has no type"):
            read_schema("CREATE TABLE t (a INT, b)", "duckdb")


class TestLanguage:
    """What the nested profile derives in each dialect."""

    @pytest.mark.parametrize("dialect", DDL)
    def test_every_random_text_is_valid_and_canonical(self, dialect: str) -> None:
        """Random derivations parse, qualify, and canonicalise to a spelling that is its own."""
        spec = spec_of(dialect)
        grammar = lower_sql(spec).grammar
        assert grammar is not None
        texts = RandomTexts(grammar, random.Random(5))

        for text in [texts.draw() for _ in range(60)]:
            canonical = canonicalise_sql(spec, text)

            assert check_sql(spec, text) == (), text
            assert canonicalise_sql(spec, canonical) == canonical

    @pytest.mark.parametrize(("dialect", "text", "expected"), SPELLINGS)
    def test_spellings_become_one(self, dialect: str, text: str, expected: str) -> None:
        """Names are quoted the dialect's way, groups are named by position."""
        assert canonicalise_sql(spec_of(dialect), text) == expected

    @pytest.mark.parametrize(("dialect", "text", "reason"), OUTSIDE)
    def test_what_the_dialect_refuses_is_outside(self, dialect: str, text: str, reason: str) -> None:
        """Ungrouped columns, unlike types and foreign literals are refused by name."""
        with pytest.raises(InvalidInput) as caught:
            canonicalise_sql(spec_of(dialect), text)

        assert caught.value.reason == "CONTRACT_VIOLATED"
        assert reason in caught.value.message

    @pytest.mark.parametrize(
        "text",
        [
            'SELECT "City"."id", COUNT(*) FROM "City"',
            'SELECT "City"."id" FROM "City" GROUP BY 2',
            'SELECT "City"."id" FROM "City" WHERE "City"."id" = \'x\'',
            'SELECT "City"."id" FROM "City" WHERE "City"."id" IN (SELECT "river"."name" FROM "river")',
            'SELECT "City"."id" FROM "City" UNION SELECT "river"."name" FROM "river"',
            'SELECT DISTINCT "City"."notes" FROM "City"',
            'SELECT COUNT(*) FROM "City" GROUP BY "City"."notes"',
        ],
    )
    def test_unlike_types_and_ungrouped_columns_cannot_be_spelled(self, text: str) -> None:
        """What DuckDB would refuse to bind is not in the language."""
        assert not language_of(spec_of("duckdb")).contains(text)


class TestReport:
    """What the owner is told."""

    @pytest.mark.parametrize("dialect", DDL)
    def test_the_weaker_check_is_said(self, dialect: str) -> None:
        """An annotation says that no database of the dialect has seen the answer."""
        (verdict,) = [v for v in lower_sql(spec_of(dialect)).verdicts if v.pointer == "dialect"]

        assert verdict.fate is KeywordFate.ANNOTATION
        assert f"sqlglot's {dialect} parser only" in verdict.note

    @pytest.mark.parametrize("dialect", DDL)
    def test_the_flat_profile_is_refused_with_the_way_out(self, dialect: str) -> None:
        """The flat profile is SQLite's alone; the hint names the nested one."""
        with pytest.raises(InvalidInput) as caught:
            lower_sql(flat(DDL[dialect], dialect))

        assert [violation.path for violation in caught.value.violations] == ["profile"]
        assert "nested" in caught.value.hint
