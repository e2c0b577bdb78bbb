"""What a kind of personal data needs to be given a pseudonym, and what all of them share."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Iterator
from typing import Protocol

_TOKEN = re.compile(r"[A-Za-z]+|\d+|[^\W\d_A-Za-z]+")
"""Latin words end where other scripts begin: those are written without spaces."""


class Form(Protocol):
    """One kind's values as people write them."""

    def key(self, text: str) -> str | None:
        """What all spellings of one value share; None for a text that has another form."""
        ...

    def others(self, text: str, randomness: random.Random) -> Iterator[str]:
        """Keys of other values that may stand for `text`, without end, the best first; the first that is free is taken.

        `text` is one that has a key.
        """
        ...

    def spell(self, text: str, key: str) -> str:
        """The value with this key in the spelling of `text`: its spaces, signs and case."""
        ...


def tokens(text: str) -> list[re.Match[str]]:
    """Words and groups of digits."""
    return list(_TOKEN.finditer(text))


def squash(text: str) -> str:
    """A text without case, spaces and signs; digits of any script as 0 to 9."""
    return "".join(map(folded, _TOKEN.findall(text)))


def folded(token: str) -> str:
    """A word or group of digits as it is compared."""
    return digits_of(token) if token[0].isdecimal() else token.casefold()


def digits_of(text: str) -> str:
    """Its digits, as 0 to 9."""
    return "".join(str(unicodedata.decimal(sign)) for sign in text if sign.isdecimal())


def with_digits(text: str, digits: str) -> str:
    """The text with other digits, as many as it has, in its own script."""
    left = iter(digits)
    return "".join(
        chr(ord(sign) - unicodedata.decimal(sign) + int(next(left))) if sign.isdecimal() else sign for sign in text
    )


def random_digits(randomness: random.Random, count: int) -> str:
    """So many."""
    return "".join(randomness.choices("0123456789", k=count))


def syllables(randomness: random.Random, count: int) -> str:
    """A word that can be spoken and means nothing; no letters that are read as digits."""
    return "".join(randomness.choice("bdfgkmnprstvz") + randomness.choice("aeiou") for _ in range(count))
