"""Personal data replaced in the rows of a dataset."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence

import pytest

from shared.contracts.spec import ContractKind, ContractSpec
from tests.unit.trainer_svc.replacement_bench import SQL, TEXT, Bench
from trainer_svc.curation.personal.base import PersonalSpan
from trainer_svc.curation.personal.phone import KIND as PHONE
from trainer_svc.domain.dataset import CheckedRow


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


class TestRow:
    """One row, input and output."""

    def test_a_value_has_one_pseudonym_in_input_and_output(self) -> None:
        """In the spelling of each place, found there or not: the adapter still learns to copy and to normalise."""
        (row,) = Bench().replace(
            (
                "Ring +49 30 901820, ask Ann.Lee@acme.com",
                {"phone": 4930901820, "x": "030901820", "to": "ANN.LEE@ACME.COM"},
            )
        )

        assert row is not None
        output = json.loads(row.output)
        number = re.findall(r"\+49 30 \d{6}", row.input)[0]
        assert output["phone"] == int(_digits(number))
        assert output["x"] == "0" + _digits(number)[2:]
        assert output["to"] == row.input.split()[-1].upper()
        assert "901820" not in row.input + row.output

    def test_names_of_fields_and_items_of_lists_too(self) -> None:
        """All of them, to the last."""
        value = {"by": {"ann@acme.com": [1, "ann@acme.com"]}, "all": [f"x{n}" for n in range(400)] + ["ann@acme.com"]}
        (row,) = Bench().replace(("ann@acme.com", value))

        assert row is not None
        assert "acme" not in row.input + row.output
        output = json.loads(row.output)
        assert list(output["by"]) == [row.input]
        assert output["all"][-1] == row.input

    def test_quoted_text_in_an_output_is_read_as_what_it_says(self) -> None:
        """Escapes of JSON and doubled quotes of SQL."""
        (row,) = Bench().replace(("o'brien@acme.com", '{"to":"\\u006f\'brien@acme.com"}'))
        (statement,) = Bench(SQL).replace(
            ("who is o'brien@acme.com", "SELECT name FROM person WHERE phone = 'o''brien@acme.com'")
        )

        assert row is not None
        assert json.loads(row.output)["to"] == row.input
        assert statement is not None
        assert f"'{statement.input.split()[-1]}'" in statement.output

    @pytest.mark.parametrize(
        ("schema", "output"),
        [
            ({"type": "object", "properties": {"a": {"enum": ["ann@acme.com"]}}}, {"a": "ann@acme.com"}),
            (
                {"type": "object", "properties": {"a": {"type": "string", "pattern": "^.*@acme.com$"}}},
                {"a": "x@acme.com"},
            ),
            ({"type": "object", "properties": {"a": {"type": "string", "maxLength": 10}}}, {"a": "me@acme.io"}),
        ],
    )
    def test_whose_output_cannot_keep_the_contract_is_dropped(self, schema: object, output: str) -> None:
        """And told, without the value."""
        bench = Bench(ContractSpec(ContractKind.JSON, json_schema=json.dumps(schema)))

        assert bench.replace(("x", json.dumps(output)), ("y", '"fine"')) == [None, CheckedRow(2, "y", '"fine"')]
        assert bench.outcomes[0].message == "its output cannot keep the contract with a pseudonym for an e-mail address"

    def test_a_held_out_miss_stays_one(self) -> None:
        """Its output broke the contract before; it may be no JSON at all."""
        bench = Bench(ContractSpec(ContractKind.JSON, json_schema='{"type":"boolean"}'))

        rows = bench.replace(("x", "{ann@acme.com"), ("y", '["ann@acme.com","\\ud800"]'))

        assert None not in rows
        assert "acme" not in "".join(row.output for row in rows if row)
        assert json.loads(rows[1].output)[1] == "\ud800" if rows[1] else False

    def test_with_more_numbers_than_are_read_is_dropped(self) -> None:
        """What was not looked at may hold anything."""
        bench = Bench(TEXT)

        assert bench.replace(("03-4296 8869 " * 60, "x"), ("x", "y"))[0] is None
        assert "only the first 50 were looked at" in bench.outcomes[0].message

    def test_whose_value_has_no_free_pseudonym_is_dropped(self) -> None:
        """Nine values of one digit leave no other; the curation comes to an end."""

        class Digits:
            kinds = (PHONE,)

            def find(self, text: str) -> Sequence[PersonalSpan]:
                return [PersonalSpan(PHONE, *found.span()) for found in re.finditer(r"[1-9]", text)]

        bench = Bench(TEXT, Digits())

        rows = bench.replace(*((f"room {number}", "x") for number in range(1, 10)), ("no room", "x"))

        assert rows == [*[None] * 9, CheckedRow(10, "no room", "x")]
        assert bench.outcomes[0].message == f"holds {PHONE}, and no other value of its form is free"

    def test_is_told_by_kinds(self) -> None:
        """Never by value."""
        bench = Bench(TEXT)
        bench.replace(("ann@acme.com or ann@acme.com, 415-555-2671", "x"))

        assert bench.outcomes[0].message == "a pseudonym for an e-mail address (2), a telephone number"


class TestDataset:
    """Many rows."""

    def test_a_value_has_the_same_pseudonym_everywhere(self) -> None:
        """Also where nothing says that the digits are a telephone number."""
        first, second, third = Bench(TEXT).replace(
            ("no 4930901820", "a"), ("write down 030 901820", "b"), ("+49 30 901820", "c")
        )

        assert first is not None
        assert second is not None
        assert third is not None
        assert _digits(first.input) == _digits(third.input)
        assert _digits(second.input)[1:] == _digits(third.input)[2:]

    def test_a_short_number_is_changed_where_its_row_says_what_it_is(self) -> None:
        """In another row seven digits may be an amount, and its output would no more be right."""
        called, total = Bench().replace(
            ("tel 123 4567", {"number": 1234567}), ("in all 1,234,567", {"total": 1234567, "was": "123 4567"})
        )

        assert called is not None
        assert json.loads(called.output)["number"] == int(_digits(called.input)) != 1234567
        assert total == CheckedRow(2, "in all 1,234,567", '{"total": 1234567, "was": "123 4567"}')

    def test_a_long_number_is_changed_where_another_row_says_what_it_is(self) -> None:
        """Nine digits are hardly the same by chance."""
        first, second = Bench().replace(("tel +49 30 901820", 1), ("note", {"n": 4930901820, "sum": 30901820}))

        assert first is not None
        assert second is not None
        output = json.loads(second.output)
        assert output == {"n": int(_digits(first.input)), "sum": 30901820}
        assert output["n"] != 4930901820

    def test_another_curation_draws_others(self) -> None:
        """Nobody can tell from outside what a value will become."""
        rows = [Bench(TEXT, seed=seed).replace(("ann@acme.com", "x"))[0] for seed in (1, 2)]

        assert rows[0] != rows[1]

    def test_pseudonyms_are_left_as_they_are_the_next_time(self) -> None:
        """Those of the source are known."""
        bench = Bench(TEXT)
        (row,) = bench.replace(("tel 4417 2203, ann@acme.com, 192.168.7.9, DE89 3704 0044 0532 0130 00", "x"))
        assert row is not None

        assert bench.replace((row.input, row.output)) == [row]
        assert bench.outcomes == {}

    def test_planted_values_are_gone(self) -> None:
        """Each spelling of each, from inputs and outputs, also when only digits are compared."""
        rng = random.Random(7)
        values = [value for make in _MAKERS for value in (make(rng) for _ in range(25))]
        texts: list[tuple[str, object]] = []
        for number, value in enumerate(values):
            squeezed = re.sub(r"[ ()/-]", "", value)
            output = {"note": f"see {value}", "raw": squeezed, "list": [[value.upper()]], "n": number}
            texts += [(f"row {number}: {value}, thanks", output), (f"also {squeezed}", {"n": number})]

        rows = Bench().replace(*texts)

        whole = "\n".join(row.input + "\n" + row.output for row in rows if row)
        assert len([row for row in rows if row]) == len(texts)
        lines = {_digits(line) for line in re.split(r"[\n,]", whole)}
        for value in values:
            assert value.casefold() not in whole.casefold()
            assert re.sub(r"[^a-z0-9@]", "", value.casefold()) not in re.sub(r"[^a-z0-9@\n]", "", whole.casefold())
            if len(_digits(value)) >= 8:
                assert not any(_digits(value) in line for line in lines)


def _iban(rng: random.Random) -> str:
    body = "".join(rng.choices("0123456789", k=18))
    code = f"DE{98 - int(body + '131400') % 97:02}{body}"
    return rng.choice((code, " ".join(code[at : at + 4] for at in range(0, 22, 4))))


_MAKERS: tuple[Callable[[random.Random], str], ...] = (
    lambda rng: f"p{rng.randrange(10**6)}.lee@acme{rng.randrange(9)}.com",
    lambda rng: f"+49 30 {rng.randrange(10**6, 10**7)}",
    lambda rng: f"(415) {rng.randrange(200, 999)}-{rng.randrange(1000, 9999)}",
    lambda rng: f"10.{rng.randrange(10, 255)}.{rng.randrange(10, 255)}.{rng.randrange(10, 255)}",
    lambda rng: f"{rng.randrange(100, 600)}-{rng.randrange(10, 99)}-{rng.randrange(1000, 9999)}",
    _iban,
)
