"""What the report says of a dataset as a whole."""

from __future__ import annotations

import dataclasses

from shared.contracts.check import canonicalise
from shared.contracts.spec import ContractKind, ContractSpec, SqlProfile
from shared.contracts.sql import unused_names
from tests.unit.trainer_svc.coverage_sample import all_findings, coverage_of

_TEXT = ContractSpec(ContractKind.TEXT)


class TestSize:
    """How many rows there should be."""

    def test_few_and_many_are_told(self) -> None:
        """Under the last row, without stopping anything."""
        told = {
            count: [
                (f.reason, f.row_number, f.blocking) for f in all_findings(_TEXT, [f"{row}" for row in range(count)])
            ]
            for count in (1, 99, 100, 499, 500, 5000, 5001)
        }

        assert told == {
            1: [("DATASET_SMALL", 1, False)],
            99: [("DATASET_SMALL", 99, False)],
            100: [("DATASET_MODEST", 100, False)],
            499: [("DATASET_MODEST", 499, False)],
            500: [],
            5000: [],
            5001: [("DATASET_LARGE", 5001, False)],
        }


class TestAnswers:
    """One answer for all."""

    def test_one_answer_for_nearly_all_rows_is_told(self) -> None:
        """With what it is."""
        (finding,) = coverage_of(_TEXT, ["unknown"] * 80 + [f"{row}" for row in range(20)])

        assert finding.reason == "ANSWERS_ALIKE"
        assert "80 of 100 rows have the output 'unknown'" in finding.message

    def test_a_frequent_answer_is_left_alone(self) -> None:
        """Classes are seldom of one size."""
        assert coverage_of(_TEXT, ["unknown"] * 79 + [f"{row}" for row in range(21)]) == []


class TestTables:
    """Tables and columns of an SQL contract."""

    _SPEC = ContractSpec(
        ContractKind.SQL,
        ddl="""CREATE TABLE city (name TEXT, "order" INT, country_id INT REFERENCES country (id), Area INT);
        CREATE TABLE country (id INT, name TEXT);
        CREATE TABLE river (name TEXT, length INT);""",
    )

    def test_those_that_no_output_reads_are_told(self) -> None:
        """Of a table that none reads, not its columns; a name in a text is no use of it."""
        outputs = [
            "SELECT city.name FROM city WHERE city.name = 'river.name'",
            "SELECT city.name FROM city JOIN country ON city.country_id = country.id",
        ]

        (finding,) = coverage_of(self._SPEC, [canonicalise(self._SPEC, outputs[number % 2]) for number in range(20)])

        assert finding.reason == "NEVER_SEEN"
        assert "shows city.order, city.Area, country.name, river, which" in finding.message

    def test_rows_that_read_all_are_left_alone(self) -> None:
        """In a self-join too, and in any case."""
        outputs = [
            'SELECT name, "order", area FROM CITY',
            "SELECT name, length FROM river",
            "SELECT COUNT(*) FROM city JOIN country ON country_id = country.id WHERE country.name = 'x'",
        ]

        assert coverage_of(self._SPEC, [canonicalise(self._SPEC, outputs[number % 3]) for number in range(21)]) == []

    def test_of_what_cannot_be_read_nothing_is_said(self) -> None:
        """It may read any table."""
        assert unused_names(self._SPEC, ["SELECT city.name FROM city", "SELECT ("]) == []

    def test_the_second_of_a_self_join_is_the_table(self) -> None:
        """Under the name that canonical SQL gives it."""
        spec = dataclasses.replace(
            self._SPEC, profile=SqlProfile.NESTED, ddl="CREATE TABLE p (id INT, boss INT REFERENCES p (id), name TEXT)"
        )
        output = canonicalise(spec, "SELECT b.name FROM p JOIN p AS b ON p.boss = b.id")

        assert unused_names(spec, [output]) == []
