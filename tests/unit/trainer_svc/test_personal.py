"""Personal data in texts: what is found, and where it begins and ends."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.spec import ContractKind, ContractSpec
from trainer_svc.curation.check import check_rows
from trainer_svc.curation.personal.base import UNREAD, PersonalDataFinder, PersonalSpan, without_overlaps
from trainer_svc.curation.personal.finder import PATTERNS
from trainer_svc.curation.personal.finding import personal_findings
from trainer_svc.curation.personal.plugin import JoinedFinder
from trainer_svc.domain.dataset import CheckedRow, Finding, InvalidRowPolicy

_IBAN, _CARD, _PHONE = "a bank account number (IBAN)", "a payment card number", "a telephone number"


def _found(text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.begin : span.end]) for span in PATTERNS.find(text)]


def _findings(text: str, output: str = "fine", kind: ContractKind = ContractKind.TEXT) -> list[Finding]:
    return list(personal_findings(kind, [CheckedRow(7, text, output)], PATTERNS))


class TestIdentifier:
    """What is found by its form, and by its check digit where it has one."""

    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            ("an e-mail address", "jane.doe+news@mail.example-shop.co.uk"),
            ("an e-mail address", "JÖRG.MÜLLER@bücher.example"),
            ("an e-mail address", "o'brien@intranet.local"),
            (_IBAN, "DE89370400440532013000"),
            (_IBAN, "GB33 BUKB 2020 1555 5555 55"),
            (_IBAN, "fr14 2004 1010 0505 0001 3m02 606"),
            (_IBAN, "NO93-8601-1117-947"),
            (_CARD, "4111 1111 1111 1111"),
            (_CARD, "378282246310005"),
            (_CARD, "5555-5555-5555-4444"),
            ("an IP address", "198.51.100.23"),
            ("an IP address", "2001:db8::8a2e:370:7334"),
            ("a US social security number", "536-90-4399"),
            ("a wallet address", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
            ("a wallet address", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
            ("a wallet address", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"),
            ("a wallet address", "0x52908400098527886E0F7030069857D2E4169EE7"),
        ],
    )
    @pytest.mark.parametrize("frame", ["{}", "Please note {}, thanks", "x = '{}'", "<{}>", "no:{}\n2 days", "{}, 2"])
    def test_is_found_in_full(self, kind: str, value: str, frame: str) -> None:
        """Alone, in prose, in SQL and at the end of a line; nothing else beside it."""
        assert _found(frame.format(value)) == [(kind, value)]

    @pytest.mark.parametrize(
        "text",
        [
            "DE89370400440532013001",
            "4111 1111 1111 1112",
            "4111111111111111234567",
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
            "version 10.4.1.2",
            "256.1.1.1",
            "127.0.0.1",
            "std::vector and dead::beef",
            "12:30:45",
            "000-12-3456",
            "@DISC 10.00% @ 3.90",
            "foo@bar",
            "https://example.org/a?b=12",
        ],
    )
    def test_what_only_looks_like_one_is_left_alone(self, text: str) -> None:
        """A wrong check digit, a version, a time, a scope of C++, an address of the web."""
        assert _found(text) == []

    def test_a_number_of_nine_digits_takes_a_word(self) -> None:
        """Social security numbers are written as orders are."""
        assert _found("SSN: 536904399") == [("a US social security number", "536904399")]
        assert _found("Order: 536904399") == []


class TestPhone:
    """Telephone numbers in the spellings of several countries."""

    @pytest.mark.parametrize(
        "value",
        [
            "+49 30 901820", "0049 30 901820", "+1 (415) 555-2671", "+60123456789", "+44 (0)20 7946 0958",
            "(415) 555-2671", "415-555-2671", "415.555.2671", "020 7946 0958", "07400 123456", "030 901820",
            "01 42 68 53 00", "01.42.68.53.00", "(02) 9374 4000", "0412 345 678", "03-5632 1178", "012-345 6789",
            "06 12345678", "044 668 18 00", "098765 43210", "03-1234-5678",
        ],
    )  # fmt: skip
    def test_is_found_by_its_countrys_grouping(self, value: str) -> None:
        """Without any word that says what it is."""
        assert _found(f"Write to us or {value} until noon") == [(_PHONE, value)]

    @pytest.mark.parametrize(
        "text",
        [
            "TEL: {}",
            "Fax {}",
            "phone_number: {}",
            "H/P NO. {}",
            "Tlf. {}",
            "Téléphone : {}",
            "call me at {}",
            "Mobil: {}",
        ],
    )
    @pytest.mark.parametrize("value", ["0163307491", "4417 2203", "555 0123", "612 34 56 78"])
    def test_after_a_word_any_number_is_one(self, text: str, value: str) -> None:
        """Local ones, and those without spaces."""
        assert _found(text.format(value)) == [(_PHONE, value)]

    @pytest.mark.parametrize(
        "text",
        [
            "GST ID: 000381399040", "INVOICE NO : 18396/102/T03", "9555916500126 1 X 4", "19/10/2018 20:49:59",
            "2018-03-12 2018-04-12", "09.12.2017 12.2018", "TOTAL : 1,234,567.50 0.00", "O.C. WHITE 2.13 5 2 0 3 6.39",
            "between 2,000,000 and 3,000,000", "BILL NO : 01-368703",
            "INVOICE NO : SP-18/06/04-1016956", "18:18 1009 026 0260073", "001-2018-03-18 13:21",
            "isbn 978-3-16-148410-0", "1234 5678 9012",
            "1 - 2 - 3 - 4 - 5 - 6 - 7 - 8", "lat 52.520008, lon 13.404954", "population > 8000000",
            "0.12345678", "13:54 #001-1105624#", "tel 12345678901234567", "call me at 12",
            "3 900 000 000", "Tel Aviv 1948 1967 1973",
        ],
    )  # fmt: skip
    def test_other_numbers_are_left_alone(self, text: str) -> None:
        """Tax ids, bar codes, dates, prices, positions, results."""
        assert _found(text) == []

    @pytest.mark.parametrize("frame", ["({})", "<{}>", '"{}"', "{},", "nr {}; 2 kg", "nr {}. 3 days"])
    @pytest.mark.parametrize("value", ["650.331.5196", "06.12.05.26.12", "0044 20 7946 0140", "+45 23 06 13 19"])
    def test_signs_around_it_are_left_out(self, value: str, frame: str) -> None:
        """Brackets and punctuation."""
        assert _found(frame.format(value)) == [(_PHONE, value)]

    def test_a_countrys_code_says_enough(self) -> None:
        """Whatever word stands before it."""
        assert _found("my verification code? +91 98321 46801") == [(_PHONE, "+91 98321 46801")]

    def test_one_number_ends_where_the_next_begins(self) -> None:
        """Amounts and other numbers stand around."""
        assert _found("2 TEL: 07-5547360 / 07-5547361 10 pcs") == [(_PHONE, "07-5547360"), (_PHONE, "07-5547361")]

    def test_prices_beside_one_do_not_hide_it(self) -> None:
        """In a receipt's columns a number stands between amounts."""
        found = _found("1 18.00 0412 373 552, 18.00\n5 3 0 2 0161 496 0758 5.56")

        assert found == [(_PHONE, "0412 373 552"), (_PHONE, "0161 496 0758")]
        assert _found("Open 8.30-17.30/+43 664 1234567") == [(_PHONE, "+43 664 1234567")]


class TestOverlap:
    """Spans that claim the same characters."""

    @given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8)), max_size=20))
    def test_the_first_one_stays(self, places: list[tuple[int, int]]) -> None:
        """As if each were compared with each that was kept before."""
        spans = [PersonalSpan("x", begin, begin + length) for begin, length in places]
        kept: list[PersonalSpan] = []
        for span in spans:
            if not any(span.begin < other.end and other.begin < span.end for other in kept):
                kept.append(span)

        assert without_overlaps(spans) == sorted(kept, key=lambda span: span.begin)


class TestHostileText:
    """An upload made to cost time."""

    @pytest.mark.parametrize(
        "unit",
        [
            "0123456789-", "03-4296 8869 ", "012 345 678 9 01 ", "a.", "a@", "@", "1", "1.", "1:", "DE89 ", "0x",
            "1 - ",
            "4111 1111 1111 111 ", "030/", "(0", "tel 0", "tel 03-4296 8869 ", "call", "ssn ", "+1 ",
            "1   1   ", "a@a-", "01 - ", "bc1", ":", "a@b.de ", "1.2.3.4 ", "a:b::1 ",
        ],
    )  # fmt: skip
    @pytest.mark.timeout(60)  # each takes less than a second; without bounds many of them take minutes
    def test_comes_to_an_end(self, unit: str) -> None:
        """32 KiB of anything."""
        text = (unit * 32_768)[:32_768]

        assert all(0 <= span.begin < span.end <= len(text) for span in PATTERNS.find(text))

    def test_digits_that_were_not_looked_at_are_told(self) -> None:
        """A table of telephone numbers is not taken for read."""
        messages = [finding.message for finding in _findings("03-4296 8869 " * 2_000)]

        assert len(messages) == 2
        assert "only the first 50 were looked at" in messages[1]

    @pytest.mark.parametrize("finder", [PATTERNS, JoinedFinder(PATTERNS, PATTERNS)])
    def test_what_was_not_looked_at_hides_nothing(self, finder: PersonalDataFinder) -> None:
        """What others find there is told, and so is that telephone numbers were not looked for."""
        text = "03-4296 8869 " * 2_000 + "jane@example.org"

        kinds = [span.kind for span in finder.find(text)]

        assert set(kinds) == {_PHONE, "an e-mail address", UNREAD}

    def test_rows_that_take_too_long_are_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What was not read is not taken for clean."""
        monkeypatch.setattr("trainer_svc.curation.personal.finding._MAX_SECONDS", -1.0)

        (told,) = _findings("jane@example.org")

        assert (told.path, told.blocking) == ("rows", False)
        assert "0 of 1 rows" in told.message


class TestFinding:
    """What the report says."""

    def test_names_place_and_kind_and_not_the_data(self) -> None:
        """A report that repeats it spreads it."""
        (finding,) = _findings("Write to jane@example.org or joe@example.org")

        assert (finding.row_number, finding.reason, finding.path) == (7, "PERSONAL_DATA", "rows[7].input")
        assert finding.message == "holds an e-mail address: characters 9-25, 29-44"
        assert not finding.blocking

    def test_an_output_is_told_by_its_field(self) -> None:
        """Whose name says more than a number of eight digits; places count within the value."""
        output = json.dumps({"to": [{"phone": "4417 2203", "order": "4417 2203"}], "fax": 44172203, "ok": True})

        findings = _findings("x", output, ContractKind.JSON)

        assert [(finding.path, finding.message) for finding in findings] == [
            ("rows[7].output#/to/0/phone", "holds a telephone number: characters 0-9"),
            ("rows[7].output#/fax", "holds a telephone number: characters 0-8"),
        ]

    def test_a_dataset_is_told_without_being_stopped(self) -> None:
        """Rows may be meant to hold such data; the report says what was looked for."""
        rows = [{"input": f"question {number} {number * 7}", "output": "yes"} for number in range(30)]
        rows[4]["input"] = "is jane@example.org known"
        spec = ContractSpec(ContractKind.CHOICE, choices=("yes",))

        checked = check_rows("\n".join(map(json.dumps, rows)).encode(), spec, InvalidRowPolicy.REFUSE)

        assert [finding.row_number for finding in checked.findings if finding.reason == "PERSONAL_DATA"] == [5]
        assert checked.is_usable
        assert checked.report.personal_data_kinds == tuple(PATTERNS.kinds)
