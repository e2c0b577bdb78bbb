"""Pseudonyms: their forms, and which value has which."""

from __future__ import annotations

import ipaddress
import random
import re
import time
from itertools import islice

import pytest
from phonenumbers import is_valid_number, parse

from trainer_svc.curation.personal.finder import PATTERNS
from trainer_svc.curation.personal.identifier import KINDS, is_base58, is_bech32, is_card, is_iban
from trainer_svc.curation.personal.phone import KIND as PHONE
from trainer_svc.curation.pseudonym.base import digits_of
from trainer_svc.curation.pseudonym.index import ValueIndex
from trainer_svc.curation.pseudonym.internet import IpForm
from trainer_svc.curation.pseudonym.known import KnownPseudonyms, UnknownFinder
from trainer_svc.curation.pseudonym.register import NothingFree, Register

EMAIL, IBAN, CARD, WALLET, SSN, IP = KINDS
_SHAPES = dict.fromkeys((CARD, SSN, PHONE), "[0-9]") | {IBAN: "[0-9A-Za-z]"}


def _pseudonym(kind: str, text: str, seed: int = 1) -> str:
    register = Register(random.Random(seed))
    return register.pseudonym(register.add(kind, text), text)


class TestForm:
    """What stands for a value is of its form."""

    @pytest.mark.parametrize(
        ("kind", "text"),
        [
            (IBAN, "DE89 3704 0044 0532 0130 00"), (IBAN, "gb33bukb20201555555555"), (IBAN, "NO93-8601-1117-947"),
            (CARD, "4111 1111 1111 1111"), (CARD, "378282246310005"), (CARD, "6011-1111-1111-1117"),
            (CARD, "30569309025904"), (SSN, "536-90-4399"), (SSN, "536 90 4399"), (PHONE, "+49 (0)30 / 90 18-20"),
            (PHONE, "012-345 6789"), (PHONE, "555 0123"),
        ],
    )  # fmt: skip
    def test_keeps_groups_and_signs(self, kind: str, text: str) -> None:
        """So that an expression that the contract asks for still fits."""
        made = _pseudonym(kind, text)

        assert re.sub(_SHAPES[kind], "x", made) == re.sub(_SHAPES[kind], "x", text)
        assert made != text

    @pytest.mark.parametrize("seed", range(20))
    def test_check_digits_are_right(self, seed: int) -> None:
        """Of accounts, cards and wallets."""
        account = _pseudonym(IBAN, "FR14 2004 1010 0505 0001 3M02 606", seed)
        card = _pseudonym(CARD, "4111 1111 1111 1111", seed)

        assert account.startswith("FR")
        assert is_iban(account.replace(" ", ""))
        assert is_card(card.replace(" ", ""))
        assert card.startswith("4000 00")
        assert is_base58(_pseudonym(WALLET, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", seed))
        for address in (
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        ):
            made = _pseudonym(WALLET, address, seed)
            assert is_bech32(made)
            assert (made[:4], len(made)) == (address[:4], len(address))

    def test_addresses_are_of_nobody(self) -> None:
        """Domains and networks that are reserved."""
        assert re.fullmatch(r"[a-z]{8}@example\.org", _pseudonym(EMAIL, "info@acme.com"))
        assert re.fullmatch(r"[A-Z]{4}\.[A-Z]{4}@EXAMPLE\.ORG", _pseudonym(EMAIL, "ANN.LEE@ACME.COM"))
        assert _pseudonym(IP, "10.1.2.3").startswith(("192.0.2.", "198.51.100.", "203.0.113."))
        for text in ("fe80::1", "2a02:8109:9c40:1b3c:0:0:0:1", "2A02:8109:9C40:1B3C:0000:0000:0000:0001"):
            made = _pseudonym(IP, text)
            assert ipaddress.ip_address(made) in ipaddress.ip_network("2001:db8::/32")
            assert ("::" in made, made.isupper()) == ("::" in text, text.isupper())
        assert _pseudonym(SSN, "536-90-4399").startswith("9")

    @pytest.mark.parametrize(
        ("text", "range_"),
        [
            ("(415) 555-2671", r"\(415\) 555-01\d\d"), ("+1 212 736 5000", r"\+1 212 555 01\d\d"),
            ("+44 20 7946 0018", r"\+44 (20 7946 0|16 3296 0|77 0090 0|12 1496 0|16 1496 0)\d{3}"),
            ("+33 1 42 68 53 00", r"\+33 (1 99 00|2 61 91|3 53 01|4 65 71|5 36 49|6 39 98) \d\d \d\d"),
        ],
    )  # fmt: skip
    def test_telephone_numbers_are_fictional_where_a_country_has_some(self, text: str, range_: str) -> None:
        """As in films."""
        assert re.fullmatch(range_, _pseudonym(PHONE, text))

    @pytest.mark.parametrize("text", ["+31 20 624 1111", "+60 12-345 6789", "+39 06 6982 0000", "+45 23 06 13 19"])
    def test_other_telephone_numbers_are_valid_in_their_country(self, text: str) -> None:
        """With as many digits."""
        made = _pseudonym(PHONE, text)

        assert is_valid_number(parse(made))
        assert made[:3] == text[:3]

    def test_of_kinds_that_nobody_here_knows_is_a_placeholder(self) -> None:
        """Also of a known kind's text that is none of its form."""
        assert re.fullmatch("name-[a-z]{8}", _pseudonym("a person's name", "Jane Doe"))
        assert re.fullmatch("NAME-[A-Z]{8}", _pseudonym("a person's name", "JANE DOE"))
        assert re.fullmatch("number-[a-z]{8}", _pseudonym(PHONE, "see above"))
        assert re.fullmatch("value-[a-z]{8}", _pseudonym("123", "\U0001f600"))

    def test_digits_of_another_script_stay_in_it(self) -> None:
        """Arabic ones, for example."""
        made = _pseudonym(PHONE, "\u0660\u0663\u0660 \u0669\u0660\u0661\u0668\u0662\u0660")

        assert re.fullmatch("[\u0660-\u0669]{3} [\u0660-\u0669]{6}", made)
        assert digits_of(made) != "030901820"


class TestRegister:
    """One value, one pseudonym."""

    @pytest.mark.parametrize(
        ("kind", "texts"),
        [
            (EMAIL, ["Ann@Acme.com", "ann@acme.com", "ANN@ACME.COM"]),
            (EMAIL, ["o'brien@acme.com", "o''brien@acme.com"]),
            (IBAN, ["DE89 3704 0044 0532 0130 00", "de89370400440532013000", "DE89-3704-0044-0532-0130-00"]),
            (CARD, ["4111 1111 1111 1111", "4111111111111111"]),
            (PHONE, ["+49 30 901820", "0049 30 90 18 20", "030/901820", "+49 (0)30 901820", "4930901820"]),
            (PHONE, ["4930901820", "(030) 901820", "+49 30 901820"]),
            (PHONE, ["+1 415 555 2671", "(415) 555-2671", "1-415-555-2671"]),
            (IP, ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"]),
            ("a name", ["Jane  Doe", "JANE DOE", "jane-doe"]),
        ],
    )
    def test_has_it_however_it_is_spelt(self, kind: str, texts: list[str]) -> None:
        """Whichever spelling comes first."""
        register = Register(random.Random(1))
        values = [register.add(kind, text) for text in texts]

        made = [register.pseudonym(value, text) for value, text in zip(values, texts, strict=True)]

        if kind == PHONE:
            assert len({digits_of(text)[-8:] for text in made}) == 1
        elif kind == IP:
            assert len({ipaddress.ip_address(text) for text in made}) == 1
        else:
            assert len({re.sub("[ -]", "", text).casefold() for text in made}) == 1

    @pytest.mark.parametrize(
        ("kind", "form", "count"),
        [
            # Of 17 million, where without the table some ten would meet; of 762 that are reserved; of 10,000 that
            # begin alike, all of which are values.
            (EMAIL, "a{}@acme.com", 20_000), (IP, "10.{}.{}.{}", 4_000), (PHONE, "+83{:04}", 10_000),
        ],
    )  # fmt: skip
    def test_no_two_of_thousands_share_one(self, kind: str, form: str, count: int) -> None:
        """Also where few are reserved; none is a value that somebody has in the dataset."""
        numbers = range(count)
        texts = [form.format(n, n) if kind != IP else form.format(n >> 16, n >> 8 & 255, n & 255) for n in numbers]
        register = Register(random.Random(1))
        values = [register.add(kind, text) for text in texts]

        made = {register.pseudonym(value, text) for value, text in zip(values, texts, strict=True)}

        assert len(made) == len(texts)
        assert made.isdisjoint(texts)

    def test_addresses_are_of_networks_for_measurements_before_others_of_nobody(self) -> None:
        """When many are taken: those of the future are more than anybody has."""
        drawn = list(islice(IpForm().others("10.1.2.3", random.Random(1)), 40))

        measured, future = ipaddress.ip_network("198.18.0.0/15"), ipaddress.ip_network("240.0.0.0/4")
        assert all(ipaddress.ip_address(text) in measured for text in drawn[8:16])
        assert all(ipaddress.ip_address(text) in future for text in drawn[16:])

    @pytest.mark.timeout(20)
    def test_a_form_that_is_used_up_is_told(self) -> None:
        """Rather than drawn from for ever."""
        register = Register(random.Random(1))
        values = [register.add(PHONE, digit) for digit in "123456789"]

        with pytest.raises(NothingFree, match=PHONE):
            register.pseudonym(values[0], "1")

    @pytest.mark.parametrize(
        ("kind", "texts"),
        [
            (IP, ["2001:4860:4860::8888", "2001:4860:4860:0:0:0:0:8888"]),
            (EMAIL, ["jos\u00e9@acme.com", "jose\u0301@acme.com"]),
            (IP, ["1.111.123.123", "11.11.123.123", "111.1.123.123"]),
        ],
    )
    def test_each_spelling_is_found_in_any_text(self, kind: str, texts: list[str]) -> None:
        """Whichever came first, and whichever other values have the same letters and digits."""
        register = Register(random.Random(1))
        values = [register.add(kind, text) for text in texts]

        found = [list(register.occurrences(f"at {text}.", own=())) for text in texts]

        assert found == [[(3, 3 + len(text), value)] for text, value in zip(texts, values, strict=True)]

    def test_a_new_spelling_counts(self) -> None:
        """Rows that were read before may have it."""
        register = Register(random.Random(1))
        sizes = [(register.add(IP, text), len(register))[1] for text in ("2001:db8::1", "2001:db8:0::1", "2001:db8::1")]

        assert sizes[0] < sizes[1] == sizes[2]

    @pytest.mark.parametrize(("count", "form"), [(400, "(415) 2{:06}"), (1_500, "+44 20 8{:07}")])
    def test_more_values_than_fictional_numbers_are_others_of_the_country(self, count: int, form: str) -> None:
        """There are 100 for each area of North America."""
        texts = [form.format(number * 997) for number in range(count)]
        register = Register(random.Random(1))
        values = [register.add(PHONE, text) for text in texts]

        made = {register.pseudonym(value, text) for value, text in zip(values, texts, strict=True)}

        assert len(made) == len(texts)
        assert made.isdisjoint(texts)

    def test_nothing_leads_back(self) -> None:
        """Two curations draw differently, and the table of one is not that of the other."""
        assert _pseudonym(EMAIL, "ann@acme.com", 1) != _pseudonym(EMAIL, "ann@acme.com", 2)


class TestIndex:
    """Known values in a text."""

    @pytest.mark.parametrize(
        ("value", "text", "found"),
        [
            ("30901820", "call 4930901820 now", ["30901820"]),
            ("30901820", "030 90 18 20", ["30 90 18 20"]),
            ("30901820", "130901820", ["30901820"]),
            ("30901820", "309018201 or 930901820", []),
            ("DE89370400440532013000", "xDE89 3704 0044 0532 0130 00.", []),
            ("DE89370400440532013000", "(de89 3704 0044 0532 0130 00)", ["de89 3704 0044 0532 0130 00"]),
            ("jos", "Jos and José", ["Jos"]),
            ("田中", "田中-san", ["田中"]),
            ("a.b(", "a.b( axb", ["a.b"]),
            ("ann lee", "Ann\nLee, ann    lee", ["Ann\nLee"]),
        ],
    )
    def test_finds_whole_words_and_groups(self, value: str, text: str, found: list[str]) -> None:
        """Spelt with up to three other signs between them, and after a telephone number's prefix."""
        index = ValueIndex()
        index.add(value)

        assert [text[slice(*place)] for place in index.find(text)] == found

    def test_takes_the_longest_of_those_that_begin_at_one_place(self) -> None:
        """Values may hold each other."""
        index = ValueIndex()
        for value in ("ann", "ann lee", "lee"):
            index.add(value)

        text = "ann lee, ann, lee 30,901"

        assert [text[slice(*place)] for place in index.find(text)] == ["ann lee", "ann", "lee"]

    @pytest.mark.parametrize("unit", ["1 ", "1", "0", "49 ", "a", "a ", "a1", "1a-", "\ud800", "é", "1111 "])
    def test_takes_time_in_proportion_to_the_text(self, unit: str) -> None:
        """However many values begin alike."""
        index = ValueIndex()
        for count in range(1, 80):
            index.add("1" * count + "2")
            index.add("a" * count + "b")
        text = (unit * 32_768)[:32_768]

        begin = time.process_time()
        list(index.find(text[:4_096]))
        eighth = time.process_time() - begin
        list(index.find(text))

        assert time.process_time() - begin - eighth < 24 * eighth + 0.2


class TestKnown:
    """A check that reads pseudonyms."""

    def test_does_not_tell_them(self) -> None:
        """As they are spelt there; what stands beside them it does."""
        known = KnownPseudonyms(["+49 30 187244", "kova@example.org"])
        finder = UnknownFinder(PATTERNS, KnownPseudonyms.load(known.dump()))

        text = "+49 30 187244, kova@example.org, Kova@Example.org, kova2@example.org, +49 30 187245"
        found = [text[span.begin : span.end] for span in finder.find(text)]

        assert found == ["kova2@example.org", "+49 30 187245"]
        assert finder.kinds == PATTERNS.kinds

    def test_other_spellings_are_told(self) -> None:
        """Digits that only happen to be the same are another thing."""
        finder = UnknownFinder(PATTERNS, KnownPseudonyms(["192.0.2.113"]))

        assert [span.kind for span in finder.find("19.20.21.13")] == [IP]


def test_candidates_never_end() -> None:
    """For whatever text."""
    register = Register(random.Random(1))
    values = [register.add(PHONE, text) for text in ("0000000", "tel", "+", "00", "1", "+999 1234567", "0" * 15)]

    assert len({register.pseudonym(value, value.key) for value in values}) == len(values)
