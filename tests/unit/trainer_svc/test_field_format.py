"""What the report says of fields that are not written alike."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from shared.contracts.spec import ContractKind
from trainer_svc.curation.field_format import format_findings
from trainer_svc.domain.dataset import CheckedRow, Finding


def _find(values: Sequence[object], inputs: Sequence[str] | None = None) -> list[Finding]:
    rows = [
        CheckedRow(number, inputs[number - 1] if inputs else "question", json.dumps({"lines": [{"field": value}]}))
        for number, value in enumerate(values, 1)
    ]
    return list(format_findings(ContractKind.JSON, rows))


def _told(findings: Sequence[Finding]) -> list[tuple[int, str]]:
    return [(finding.row_number, finding.reason) for finding in findings]


class TestFormat:
    """Dates, numbers, units and codes."""

    @pytest.mark.parametrize(
        ("usual", "other"),
        [
            ("2024-03-{:02}", "03/04/2024"),
            ("2024-03-{:02}", "04-03-2024"),
            ("2024-03-{:02}", "March 4, 2024"),
            ("{}. März 2024", "4.3.2024"),
            ("{:02}/03/2024", "03/25/2024"),
            ("{},50", "4.50"),
            ("1.{:03},50", "4.50"),
            ("{} kg", "4kg"),
            ("{} EUR", "€4"),
            ("{} EUR", "EUR 4"),
            ("0:{:02}", "4:05 pm"),
            ("{}", 4),
        ],
    )
    def test_a_value_unlike_the_others_is_told_by_its_place(self, usual: str, other: object) -> None:
        """With what it says, and what the others say."""
        values: list[object] = [usual.format(13 + number % 19) for number in range(40)]

        (finding,) = _find([*values, other])

        assert (finding.row_number, finding.reason) == (41, "FORMAT_DIFFERS")
        assert finding.path == "rows[41].output#/lines/0/field"
        assert repr(other) in finding.message
        assert not finding.blocking

    def test_a_field_without_a_rule_is_told_once(self) -> None:
        """Which of the ways is right is for the expert to say."""
        values = [f"2024-03-{day:02}" if day % 3 else f"{day}.3.2024" for day in range(1, 31)]

        (finding,) = _find(values)

        assert (finding.row_number, finding.reason) == (3, "FIELD_FORMATS_MIXED")
        assert finding.message.endswith("YYYY-MM-DD (20), day.month.YYYY (10)")

    @pytest.mark.parametrize(
        "values",
        [
            [f"{number}" for number in range(1, 200, 7)],
            [f"{number / 4:.2f}" for number in range(1, 200, 7)],
            ["100.50", "1,234.50", "-3.00", "7"] * 10,
            ["1 kg", "2.5 kg", "1,000 kg"] * 10,
            [f"{day} {month} 2024" for month in ("May", "June", "September") for day in range(1, 29, 3)],
            [f"{day}. {month} 2024" for month in ("Mai", "Juni", "März") for day in range(1, 29, 3)],
            [f"{day} de {month} de 2024" for month in ("enero", "febrero") for day in range(1, 29)],
            ["E11.9", "I10", "SW1A 1AA", "12 Oak Street", "5 Market Street", "030 12345 678", "12a"] * 10,
            ["01/02/2024", "13/02/2024"] * 20,
            [number / 2 for number in range(40)],
            [None, True, False, "", [], {}] * 10,
            ["2024-03-01"] * 18 + ["1.3.2024"],
        ],
    )
    def test_values_of_one_format_and_texts_are_left_alone(self, values: Sequence[object]) -> None:
        """Longer numbers, other months, prose; and a few rows make no rule."""
        assert _find(values) == []

    def test_a_value_that_is_copied_where_others_are_not_is_told(self) -> None:
        """Who wrote the row forgot to bring it into the form of the others."""
        values = [f"2024-03-{day:02}" for day in range(1, 29)] + ["1.3.2024"]

        assert _told(_find(values, [*["question"] * 28, "On 1.3.2024 it rained"])) == [(29, "FORMAT_DIFFERS")]

    def test_a_digit_within_a_number_is_no_copy(self) -> None:
        """It stands there by chance."""
        values = [f"{number % 9 + 1} kg" for number in range(30)] + ["4kg"]

        assert _told(_find(values, ["order 11 kg 22 kg 1234567890"] * 31)) == [(31, "FORMAT_DIFFERS")]

    def test_a_field_that_is_copied_is_left_alone(self) -> None:
        """What its input says is right, however it is written there."""
        values = [f"2024-03-{day:02}" for day in range(1, 29)] + ["1.3.2024"]

        assert _find(values, [f"On {value} it rained" for value in values]) == []


class TestUnit:
    """Amounts of one thing in several units."""

    @pytest.mark.parametrize(
        ("usual", "other", "unit"),
        [
            ("{} kg", "500 g", "g"),
            ("{}kg", "500g", "g"),
            ("{} kg", "4 KG", "KG"),
            ("{} EUR", "4 USD", "USD"),
            ("{} €", "4 $", "USD"),
            ("€{}", "$4", "USD"),
            ("EUR {}", "USD 4", "USD"),
            ("{} km/h", "4 mph", "mph"),
            ("{} °C", "39 °F", "°F"),
            ("1,{:03}.50 m²", "4 ha", "ha"),
        ],
    )
    def test_an_amount_in_another_unit_is_told_by_its_place(self, usual: str, other: str, unit: str) -> None:
        """However the number is written."""
        values = [usual.format(13 + number % 19) for number in range(40)]

        (finding,) = _find([*values, other])

        assert (finding.row_number, finding.reason) == (41, "FORMAT_DIFFERS")
        assert f" as {unit}, {other!r}; 40 of 41 values" in finding.message

    def test_a_sign_and_its_code_are_one_currency(self) -> None:
        """That they are two ways to write it is another finding, and told alone."""
        findings = _find([*(f"{number} EUR" for number in range(1, 41)), "4 €"])

        assert [finding.message.partition(",")[0] for finding in findings] == [
            "writes a quantity as a sign after the number (4 €)"
        ]

    def test_a_field_without_a_rule_is_told_once(self) -> None:
        """With how often each unit comes."""
        (finding,) = _find(["1 kg", "2.5 kg", "1,000 g"] * 10)

        assert (finding.row_number, finding.reason) == (3, "FIELD_FORMATS_MIXED")
        assert finding.message.endswith("a unit of mass is written in several ways in this field: kg (20), g (10)")

    @pytest.mark.parametrize(
        "values",
        [
            ["200 g", "2 l", "1 kg", "250 ml", "3 EUR", "10 min"] * 20,
            ["2 kg", "200 g", "20 mg", "2 t", "3 lb"] * 20,
            ["5 am", "12 Oak", "12 A", "14 B", "3 pm", "9 th", "42", "page 5"] * 20,
            ["1 day", "2 days", "3 weeks", "1 week"] * 20,
            [*["1 kg", "2 kg"] * 9, "500 g"],
            [4, 4.5, None, True] * 20,
        ],
    )
    def test_amounts_of_many_things_and_texts_are_left_alone(self, values: Sequence[object]) -> None:
        """Each has the unit that suits it; and a few rows make no rule."""
        assert _find(values) == []

    def test_a_currency_that_the_input_speaks_of_is_left_alone(self) -> None:
        """A price is not to be brought into another currency, a mass into another unit is."""
        prices = _find([*["4 EUR", "5 EUR"] * 20, "6 USD"], [*["?"] * 40, "It costs six dollars"])
        masses = _find([*["4 kg", "5 kg"] * 20, "600 g"], [*["?"] * 40, "It weighs 600 g"])

        assert (_told(prices), _told(masses)) == ([], [(41, "FORMAT_DIFFERS")])

    @pytest.mark.parametrize(
        ("other", "source"),
        [
            ("PLN 5", "Suma 5 zł"),
            ("CHF 5", "Fr. 5"),
            ("USD 5", "price 5 usd"),
            ("USD 5", "cinco dólares"),
            ("GBP 5", "fünf Pfund"),
        ],
    )
    def test_a_currency_that_the_input_may_speak_of_is_left_alone(self, other: str, source: str) -> None:
        """By a sign that is not known here, in lower case, or in another language."""
        values = [f"EUR {number}" for number in range(1, 41)]

        assert _find([*values, other], [*["?"] * 40, source]) == []

    def test_a_name_before_a_number_is_no_unit(self) -> None:
        """Of money it is; the others name a paragraph or a part."""
        assert _find([*(f"SEC {number}" for number in range(1000, 1040)), "MIN 4"]) == []


class TestSpelling:
    """Words that are meant to be the same."""

    def test_a_value_spelt_unlike_in_most_rows_is_told(self) -> None:
        """Other case, spaces or punctuation make other tokens of it, and another value for who reads it."""
        values = ["in progress"] * 20 + ["In Progress", "in-progress", "done", "Done"] + ["done"] * 4

        findings = _find(values)

        assert _told(findings) == [(21, "SPELLING_DIFFERS"), (22, "SPELLING_DIFFERS"), (24, "SPELLING_DIFFERS")]
        assert "20 other values are spelt 'in progress'" in findings[0].message

    def test_other_words_are_left_alone(self) -> None:
        """However alike they look."""
        assert _find(["open", "opened", "opens", "reopen"] * 10) == []

    @pytest.mark.parametrize(
        "values",
        [
            "दिन दान दीन",
            "ดี ดู",
            "C C++ C#",
            "A A- A+",
            "<5 >5",
            "1.11.2024 11.1.2024",
        ],
    )
    def test_signs_that_mean_something_make_another_word(self, values: str) -> None:
        """Vowels of Indian languages, languages of programmers, grades, numbers."""
        usual, *others = values.split()

        assert _find([usual] * 30 + others) == []

    def test_a_few_uses_make_no_rule(self) -> None:
        """Nobody can tell which one is right."""
        assert _find(["open"] * 3 + ["Open"] * 2 + ["closed"] * 6 + ["Closed"] * 4) == []

    def test_what_the_input_says_is_left_alone(self) -> None:
        """It was copied."""
        values = ["in progress"] * 20 + ["In Progress"]

        assert _find(values, ["question"] * 20 + ["State: In Progress"]) == []


def test_other_contracts_have_no_fields() -> None:
    """SQL and texts are not compared so."""
    rows = [CheckedRow(number, "question", f"{number}") for number in range(30)]
    rows.append(CheckedRow(31, "question", "4 kg"))

    assert list(format_findings(ContractKind.TEXT, rows)) == []
