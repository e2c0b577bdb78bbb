"""Pseudonyms: which value has which, and where values are found again."""

from __future__ import annotations

import ipaddress
import random
import re
from itertools import islice

import pytest

from tests.steps import steps_of
from tests.unit.trainer_svc.pseudonym_sample import CARD, EMAIL, IBAN, IP, pseudonym_of
from trainer_svc.curation.personal.finder import PATTERNS
from trainer_svc.curation.personal.phone import KIND as PHONE
from trainer_svc.curation.pseudonym.base import digits_of
from trainer_svc.curation.pseudonym.index import ValueIndex
from trainer_svc.curation.pseudonym.internet import IpForm
from trainer_svc.curation.pseudonym.known import KnownPseudonyms, UnknownFinder
from trainer_svc.curation.pseudonym.register import NothingFree, Register


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
        assert pseudonym_of(EMAIL, "ann@acme.com", 1) != pseudonym_of(EMAIL, "ann@acme.com", 2)


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

    @pytest.mark.timeout(60)
    @pytest.mark.parametrize("unit", ["1 ", "1", "0", "49 ", "a", "a ", "a1", "1a-", "\ud800", "é", "1111 "])
    def test_takes_work_in_proportion_to_the_text(self, unit: str) -> None:
        """However many values begin alike."""
        index = ValueIndex()
        for count in range(1, 80):
            index.add("1" * count + "2")
            index.add("a" * count + "b")
        text = (unit * 32_768)[:32_768]

        eighth, whole = (steps_of(lambda part=part: list(index.find(part))) for part in (text[:4_096], text))

        assert whole <= 12 * eighth


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
