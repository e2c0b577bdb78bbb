"""Telephone numbers: of the ranges that regulators keep for films where there are some, else others of the country."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import count

from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    NumberParseException,
    country_code_for_region,
    is_valid_number,
    parse,
)

from trainer_svc.curation.personal.phone import national_region
from trainer_svc.curation.pseudonym.base import digits_of, random_digits, with_digits

MIN_CORE_DIGITS = 6
"""Fewer may be anything else."""
PREFIXES = frozenset(
    f"{before}{code}{trunk}"
    for code in ("", *map(str, COUNTRY_CODE_TO_REGION_CODE))
    for before in ("", "0", "00", "011")
    for trunk in ("", "0")
) - {""}
"""What may stand before a number's core without a space: trunk 0, a country's code, what dials abroad."""
MAX_PREFIX_DIGITS = max(map(len, PREFIXES))
_FICTIONAL = {
    1: ("NNN55501##",),
    33: ("19900####", "26191####", "35301####", "46571####", "53649####", "63998####"),
    44: ("2079460###", "1632960###", "7700900###", "1214960###", "1614960###"),
    46: ("8465004##", "313900600"),
    49: ("3023125###", "6990009###", "4066969###", "8999998###"),
    61: ("25550####", "35550####", "75550####", "85550####", "27010####", "37010####", "77010####", "87010####"),
    353: ("2091#####",),
}
"""By country's code, without the trunk 0: NANPA, ARCEP, Ofcom, PTS, Bundesnetzagentur, ACMA, ComReg. N: as it was."""
_FICTIONAL_TRIES, _VALID_TRIES = 6, 12
_KEPT_DIGITS = 2
"""Of a core: most areas show in them, and schemas may ask for them."""


class PhoneForm:
    """The key is the number without country's code and trunk 0, which stay: `+49 30 ...` and `030 ...` are one."""

    def key(self, text: str) -> str | None:
        """None where there are too few digits."""
        digits = digits_of(text)
        core = _core(text, digits)
        return (core if len(core) >= MIN_CORE_DIGITS else digits) or None

    def others(self, text: str, randomness: random.Random) -> Iterator[str]:
        """As long as it was: some that are fictional, then some that are valid where it was, then any."""
        core = self.key(text)
        assert core is not None, "only texts with a key are given a pseudonym"
        code = _country(text, core)
        templates = [one for one in _FICTIONAL.get(code, ()) if len(one) == len(core)]
        for _ in range(_FICTIONAL_TRIES if templates else 0):
            pairs = zip(randomness.choice(templates), core, strict=True)
            yield "".join({"N": old, "#": random_digits(randomness, 1)}.get(new, new) for new, old in pairs)
        is_valid = _is_valid(code, core)
        for attempt in count():
            kept = core[:_KEPT_DIGITS] if attempt < 2 * _VALID_TRIES else ""
            first = "" if kept or core[0] == "0" else randomness.choice("123456789")
            made = kept + first + random_digits(randomness, len(core) - len(kept) - len(first))
            if not is_valid or attempt >= _VALID_TRIES or _is_valid(code, made):
                yield made

    def spell(self, text: str, key: str) -> str:
        """What stands before the core stays."""
        digits = digits_of(text)
        return with_digits(text, digits[: len(digits) - len(key)] + key)


def _core(text: str, digits: str) -> str:
    number = re.match(r"\(?\s*(?:\+|00(?=[1-9]))", text)
    if number is None:
        is_american = len(digits) == 11 and digits[0] == "1" and digits[1] in "23456789"
        return digits[1:] if is_american else digits.lstrip("0")
    abroad = digits if "+" in number[0] else digits[2:]
    # No country's code begins another.
    code = next((count for count in (1, 2, 3) if int(abroad[:count] or 0) in COUNTRY_CODE_TO_REGION_CODE), 0)
    return abroad[code:].lstrip("0")


def _country(text: str, core: str) -> int:
    """Its code; 0 where nobody knows."""
    digits = digits_of(text)
    before = digits[: len(digits) - len(core)].removeprefix("00")
    for code in (before, before.removesuffix("0")):
        if code and int(code) in COUNTRY_CODE_TO_REGION_CODE:
            return int(code)
    if "+" in text:
        return 0
    region = national_region(text, is_named=False) or national_region(text, is_named=True)
    return country_code_for_region(region) if region else 0


def _is_valid(code: int, core: str) -> bool:
    if not code:
        return False
    try:
        return is_valid_number(parse(f"+{code}{core}"))
    except NumberParseException:
        return False
