"""Personal data replaced in the rows of a dataset."""

from __future__ import annotations

import itertools
import json
import random
import re
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest

from shared.contracts.check import check_output
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import InvalidInput
from trainer_svc.curation.personal.base import PersonalDataFinder, PersonalSpan
from trainer_svc.curation.personal.finder import PATTERNS
from trainer_svc.curation.personal.finding import personal_findings
from trainer_svc.curation.personal.phone import KIND as PHONE
from trainer_svc.curation.personal.plugin import JoinedFinder
from trainer_svc.curation.pseudonym import replacement as module
from trainer_svc.curation.pseudonym.known import KnownPseudonyms, UnknownFinder
from trainer_svc.curation.pseudonym.replacement import Outcome, Replacement
from trainer_svc.domain.dataset import CheckedRow

_ANY = ContractSpec(ContractKind.JSON, json_schema="{}")
_TEXT = ContractSpec(ContractKind.REGEX, pattern="(.|\n)*")
_SQL = ContractSpec(ContractKind.SQL, ddl="CREATE TABLE person (name TEXT, phone TEXT);")


class WordFinder:
    """Finds every place of some words, as a model would."""

    kinds = ("a name",)

    def __init__(self, *words: str) -> None:
        self._words = words

    def find(self, text: str) -> Sequence[PersonalSpan]:
        """Overlapping where the words do."""
        return [
            PersonalSpan("a name", found.start(), found.end())
            for word in self._words
            for found in re.finditer(re.escape(word), text)
        ]


class Bench:
    """A contract, a finder, and the pseudonyms that come of them."""

    def __init__(self, spec: ContractSpec = _ANY, finder: PersonalDataFinder = PATTERNS, seed: int = 1) -> None:
        self.spec, self.finder, self.seed = spec, finder, seed
        self.known = KnownPseudonyms()
        self.outcomes: dict[int, Outcome] = {}

    def replace(self, *texts: tuple[str, object]) -> list[CheckedRow | None]:
        """Rows as they are afterwards, None for one that is dropped; none of the texts may hold what can be found."""
        rows = [
            CheckedRow(number, text, output if isinstance(output, str) else json.dumps(output))
            for number, (text, output) in enumerate(texts, 1)
        ]
        replacement = Replacement(self.spec, self.finder, self.known, random.Random(self.seed))
        self.outcomes = replacement.replace(rows)
        made = [self.outcomes[place].row if place in self.outcomes else row for place, row in enumerate(rows)]
        left = [row for row in made if row is not None and not check_output(self.spec, row.output)]
        finder = UnknownFinder(self.finder, self.known)
        assert list(personal_findings(self.spec.kind, left, finder)) == []
        return made


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
        (statement,) = Bench(_SQL).replace(
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
        bench = Bench(_TEXT)

        assert bench.replace(("03-4296 8869 " * 60, "x"), ("x", "y"))[0] is None
        assert "only the first 50 were looked at" in bench.outcomes[0].message

    def test_whose_value_has_no_free_pseudonym_is_dropped(self) -> None:
        """Nine values of one digit leave no other; the curation comes to an end."""

        class Digits:
            kinds = (PHONE,)

            def find(self, text: str) -> Sequence[PersonalSpan]:
                return [PersonalSpan(PHONE, *found.span()) for found in re.finditer(r"[1-9]", text)]

        bench = Bench(_TEXT, Digits())

        rows = bench.replace(*((f"room {number}", "x") for number in range(1, 10)), ("no room", "x"))

        assert rows == [*[None] * 9, CheckedRow(10, "no room", "x")]
        assert bench.outcomes[0].message == f"holds {PHONE}, and no other value of its form is free"

    def test_is_told_by_kinds(self) -> None:
        """Never by value."""
        bench = Bench(_TEXT)
        bench.replace(("ann@acme.com or ann@acme.com, 415-555-2671", "x"))

        assert bench.outcomes[0].message == "a pseudonym for an e-mail address (2), a telephone number"


class TestDataset:
    """Many rows."""

    def test_a_value_has_the_same_pseudonym_everywhere(self) -> None:
        """Also where nothing says that the digits are a telephone number."""
        first, second, third = Bench(_TEXT).replace(
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
        rows = [Bench(_TEXT, seed=seed).replace(("ann@acme.com", "x"))[0] for seed in (1, 2)]

        assert rows[0] != rows[1]

    def test_pseudonyms_are_left_as_they_are_the_next_time(self) -> None:
        """Those of the source are known."""
        bench = Bench(_TEXT)
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


class TestPluggedFinder:
    """Kinds that only the operator's finder knows."""

    def test_a_value_is_replaced_in_its_row_where_the_finder_misses_it(self) -> None:
        """In other rows the same letters may be another word."""

        class Capitals(WordFinder):
            def find(self, text: str) -> Sequence[PersonalSpan]:
                return super().find(text) if text.startswith("I am") else []

        first, second = Bench(finder=JoinedFinder(PATTERNS, Capitals("Will"))).replace(
            ("I am Will, will you?", {"name": "WILL"}), ("Will it rain", {"x": "Will"})
        )

        assert first is not None
        (name,) = set(re.findall(r"name-[a-z]{8}", first.input))
        assert first.input == f"I am {name}, {name} you?"
        assert json.loads(first.output) == {"name": name.upper()}
        assert second == CheckedRow(2, "Will it rain", '{"x": "Will"}')

    def test_overlapping_spans_are_one(self) -> None:
        """Nothing of either is left."""
        (row,) = Bench(_TEXT, WordFinder("Ann Lee", "Lee Wood", "Ann")).replace(("ask Ann Lee Wood now", "x"))

        assert row is not None
        assert re.fullmatch("ask name-[a-z]{8} now", row.input)

    def test_values_that_hold_each_other_are_told_apart(self) -> None:
        """The longer one first."""
        (row,) = Bench(_TEXT, WordFinder("Ann Lee", "Ann")).replace(("Ann Lee and Ann", "ann lee"))

        assert row is not None
        long, short = re.findall("name-[a-z]{8}", row.input)
        assert long != short
        assert row.output == long

    @pytest.mark.parametrize("name", ["a.*b(", "$1\\g<0>", "[x", "^", "Jos\u00e9 \U0001f600", "\ud800x", "田中"])
    def test_no_sign_of_a_value_is_special(self, name: str) -> None:
        """Not even half of a character."""
        (row,) = Bench(_TEXT, WordFinder(name)).replace((f"see {name}, {name}!", "x"))

        assert row is not None
        assert re.fullmatch("see (name-[a-z]{8}), \\1!", row.input)

    def test_one_that_finds_its_own_placeholders_comes_to_an_end(self) -> None:
        """What is a known pseudonym is no find."""

        class Everything:
            kinds = ("a name",)

            def find(self, text: str) -> Sequence[PersonalSpan]:
                return [PersonalSpan("a name", 0, len(text))] if text else []

        (row,) = Bench(_TEXT, Everything()).replace(("Ann", "Bob"))

        assert row is not None
        assert row.input != row.output

    def test_what_never_ends_drops_the_row(self) -> None:
        """After three rounds."""

        class Growing:
            kinds = ("a name",)

            def find(self, text: str) -> Sequence[PersonalSpan]:
                # The first word that it has not called a name yet: one at each reading.
                found = next((f for f in re.finditer(r"\S+", text) if "-" not in f[0]), None)
                return [PersonalSpan("a name", *found.span())] if found else []

        bench = Bench(_TEXT, Growing())

        assert bench.replace(("a1 b1 c1 d1 e1", "x-y"), ("x-y", "x-y"))[0] is None
        assert bench.outcomes[0].message == "holds personal data still after it was replaced"

    def test_what_lies_outside_the_text_is_a_fault(self) -> None:
        """Of the finder."""

        class Wrong:
            kinds = ("a name",)

            def find(self, text: str) -> Sequence[PersonalSpan]:
                return [PersonalSpan("a name", 0, len(text) + 1)]

        with pytest.raises(ValueError, match="found a name at 0 to 2 of 1 characters"):
            Bench(_TEXT, Wrong()).replace(("x", "y"))


class TestHostileRows:
    """An upload made to cost time or memory."""

    @pytest.mark.parametrize(
        "unit", ["a{}@b.de ", "{}@b.de,", "10.{}.1.2 ", "DE89370400440532013000 ", "a.a.a.a.a.a@b.de a a a a a a a "]
    )
    @pytest.mark.timeout(60)
    def test_thousands_of_finds_take_time_in_proportion(self, unit: str) -> None:
        """Sixteen times as many take no 256 times as long; between them is room for a busy machine."""
        times = []
        for count in (150, 2_400):
            text = "".join(unit.format(number % 250) for number in range(count))
            begin = time.process_time()
            Bench(_TEXT).replace((text, '{"held": "out"'))
            times.append(time.process_time() - begin)

        assert times[1] < 64 * times[0] + 0.2

    def test_more_finds_than_can_be_held_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is replaced then."""
        monkeypatch.setattr(module, "MAX_FINDS", 2)

        with pytest.raises(InvalidInput, match="more than 2 finds"):
            Bench(_TEXT).replace(("a@b.de b@b.de c@b.de", "x"))

    def test_rows_that_take_too_long_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Rather than left half done."""
        monkeypatch.setattr(module, "MAX_SECONDS", -1.0)

        with pytest.raises(InvalidInput, match="takes over"):
            Bench(_TEXT).replace(("a@b.de", "x"))

    @pytest.mark.parametrize(
        ("text", "output"), [("x", [["fine"] * 300]), ("a@b.de " * 300, "x")], ids=["texts", "finds"]
    )
    def test_one_row_that_takes_too_long_is_refused_within_it(
        self, monkeypatch: pytest.MonkeyPatch, text: str, output: object
    ) -> None:
        """Its texts and its finds may be thousands."""
        clock = itertools.count()
        monkeypatch.setattr(module, "MAX_SECONDS", 250.0)
        monkeypatch.setattr(module, "time", SimpleNamespace(thread_time=lambda: next(clock)))

        with pytest.raises(InvalidInput, match="takes over 250 s"):
            Bench().replace((text, output))

    def test_deep_outputs_come_to_an_end(self) -> None:
        """As deep as they can be read."""
        (row,) = Bench().replace(("x", "[" * 500 + '"ann@acme.com"' + "]" * 500))

        assert row is None or "acme" not in row.output
