"""Pseudonyms: their forms."""

from __future__ import annotations

import ipaddress
import re

import pytest
from phonenumbers import is_valid_number, parse

from tests.unit.trainer_svc.pseudonym_sample import CARD, EMAIL, IBAN, IP, SSN, WALLET, pseudonym_of
from trainer_svc.curation.personal.identifier import is_base58, is_bech32, is_card, is_iban
from trainer_svc.curation.personal.phone import KIND as PHONE
from trainer_svc.curation.pseudonym.base import digits_of

_SHAPES = dict.fromkeys((CARD, SSN, PHONE), "[0-9]") | {IBAN: "[0-9A-Za-z]"}


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
        made = pseudonym_of(kind, text)

        assert re.sub(_SHAPES[kind], "x", made) == re.sub(_SHAPES[kind], "x", text)
        assert made != text

    @pytest.mark.parametrize("seed", range(20))
    def test_check_digits_are_right(self, seed: int) -> None:
        """Of accounts, cards and wallets."""
        account = pseudonym_of(IBAN, "FR14 2004 1010 0505 0001 3M02 606", seed)
        card = pseudonym_of(CARD, "4111 1111 1111 1111", seed)

        assert account.startswith("FR")
        assert is_iban(account.replace(" ", ""))
        assert is_card(card.replace(" ", ""))
        assert card.startswith("4000 00")
        assert is_base58(pseudonym_of(WALLET, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", seed))
        for address in (
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        ):
            made = pseudonym_of(WALLET, address, seed)
            assert is_bech32(made)
            assert (made[:4], len(made)) == (address[:4], len(address))

    def test_addresses_are_of_nobody(self) -> None:
        """Domains and networks that are reserved."""
        assert re.fullmatch(r"[a-z]{8}@example\.org", pseudonym_of(EMAIL, "info@acme.com"))
        assert re.fullmatch(r"[A-Z]{4}\.[A-Z]{4}@EXAMPLE\.ORG", pseudonym_of(EMAIL, "ANN.LEE@ACME.COM"))
        assert pseudonym_of(IP, "10.1.2.3").startswith(("192.0.2.", "198.51.100.", "203.0.113."))
        for text in ("fe80::1", "2a02:8109:9c40:1b3c:0:0:0:1", "2A02:8109:9C40:1B3C:0000:0000:0000:0001"):
            made = pseudonym_of(IP, text)
            assert ipaddress.ip_address(made) in ipaddress.ip_network("2001:db8::/32")
            assert ("::" in made, made.isupper()) == ("::" in text, text.isupper())
        assert pseudonym_of(SSN, "536-90-4399").startswith("9")

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
        assert re.fullmatch(range_, pseudonym_of(PHONE, text))

    @pytest.mark.parametrize("text", ["+31 20 624 1111", "+60 12-345 6789", "+39 06 6982 0000", "+45 23 06 13 19"])
    def test_other_telephone_numbers_are_valid_in_their_country(self, text: str) -> None:
        """With as many digits."""
        made = pseudonym_of(PHONE, text)

        assert is_valid_number(parse(made))
        assert made[:3] == text[:3]

    def test_of_kinds_that_nobody_here_knows_is_a_placeholder(self) -> None:
        """Also of a known kind's text that is none of its form."""
        assert re.fullmatch("name-[a-z]{8}", pseudonym_of("a person's name", "Jane Doe"))
        assert re.fullmatch("NAME-[A-Z]{8}", pseudonym_of("a person's name", "JANE DOE"))
        assert re.fullmatch("number-[a-z]{8}", pseudonym_of(PHONE, "see above"))
        assert re.fullmatch("value-[a-z]{8}", pseudonym_of("123", "\U0001f600"))

    def test_digits_of_another_script_stay_in_it(self) -> None:
        """Arabic ones, for example."""
        made = pseudonym_of(PHONE, "\u0660\u0663\u0660 \u0669\u0660\u0661\u0668\u0662\u0660")

        assert re.fullmatch("[\u0660-\u0669]{3} [\u0660-\u0669]{6}", made)
        assert digits_of(made) != "030901820"
