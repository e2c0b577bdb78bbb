"""Payment cards, US social security numbers and bank accounts: numbers that nobody was given."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator

from trainer_svc.curation.personal.identifier import is_card, is_iban
from trainer_svc.curation.pseudonym.base import digits_of, random_digits, with_digits

_TEST_RANGES = {
    "4": "400000", "5": "555555", "2": "222300", "34": "343434", "37": "378282", "60": "601111", "64": "644564",
    "65": "655555", "35": "356600", "62": "620000", "30": "305693", "36": "362272", "38": "385200", "39": "385200",
}  # fmt: skip
"""By a number's first digits: where the test numbers of its issuer lie."""
_SSN_DIGITS = 9


class CardForm:
    """A number of the same issuer, in its range for tests, with a right check digit."""

    def key(self, text: str) -> str | None:
        """Its digits."""
        digits = digits_of(text)
        return digits if 14 <= len(digits) <= 16 and is_card(digits) else None

    def others(self, text: str, randomness: random.Random) -> Iterator[str]:
        """The last digit makes the Luhn sum end in 0."""
        digits = digits_of(text)
        head = _TEST_RANGES.get(digits[:1]) or _TEST_RANGES[digits[:2]]
        while True:
            body = head + random_digits(randomness, len(digits) - len(head) - 1)
            yield next(body + last for last in string.digits if is_card(body + last))

    def spell(self, text: str, key: str) -> str:
        """In the same groups."""
        return with_digits(text, key)


class SsnForm:
    """A number that is never given out: area 9, and none of the groups that tax numbers (ITIN) have there."""

    def key(self, text: str) -> str | None:
        """Its nine digits."""
        digits = digits_of(text)
        return digits if len(digits) == _SSN_DIGITS else None

    def others(self, text: str, randomness: random.Random) -> Iterator[str]:
        """900-01-0001 to 999-49-9999."""
        while True:
            area, group, serial = (
                randomness.randrange(100),
                randomness.randrange(1, 50),
                randomness.randrange(1, 10_000),
            )
            yield f"9{area:02}{group:02}{serial:04}"

    def spell(self, text: str, key: str) -> str:
        """In the same groups."""
        return with_digits(text, key)


class IbanForm:
    """An account of the same country with right check digits, letters where there were letters."""

    def key(self, text: str) -> str | None:
        """Its letters and digits, in capitals."""
        code = "".join(sign for sign in text if sign.isalnum()).upper()
        return code if code.isascii() and code[:2].isalpha() and code[2:4].isdecimal() and is_iban(code) else None

    def others(self, text: str, randomness: random.Random) -> Iterator[str]:
        """Check digits: 98 less the rest of the number by 97 (ISO 7064)."""
        code = self.key(text)
        assert code is not None, "only texts with a key are given a pseudonym"
        signs = [string.digits if sign.isdecimal() else string.ascii_uppercase for sign in code[4:]]
        while True:
            body = "".join(map(randomness.choice, signs))
            number = int("".join(str(int(sign, 36)) for sign in body + code[:2] + "00"))
            yield f"{code[:2]}{98 - number % 97:02}{body}"

    def spell(self, text: str, key: str) -> str:
        """In the same groups and case."""
        left = iter(key)
        signs = (next(left) if sign.isalnum() else sign for sign in text)
        return "".join(new.lower() if old.islower() else new for old, new in zip(text, signs, strict=True))
