"""Telephone numbers, by the numbering plans of libphonenumber."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from phonenumbers import (
    Leniency,
    NumberParseException,
    PhoneMetadata,
    PhoneNumberMatcher,
    is_possible_number,
    is_valid_number,
    parse,
)
from phonenumbers.re_util import enable_pattern_cache

from trainer_svc.curation.personal.base import UNREAD, PersonalSpan

KIND = "a telephone number"
_MAX_TRIES = 50
"""Of a text: each takes up to 5 ms, and 32 KiB of digits would take many seconds. A receipt has 10 at most."""
_CANDIDATE = re.compile(
    r"(?<![\w.,+-])(?<![^\d\s_]/)(?:\+|\((?=\+))?\(?\d(?:[ \u00a0().\u2010-\u2014/-]{0,3}\d){6,16}(?![\w/-]|[.,]\d)"
)
_BREAK = re.compile(r"\s+|\s*/\s*")
_NAMED = re.compile(
    r"(?i)(?:(?<![^\W_])(?:tel|tlf|ph|fax|hp|h/p|cell|mob|handy|hotline|whats ?app|telefax)s?"
    r"|(?:tele)?phone|telefon\w?|t[ée]l[ée]phone|tel[ée]fono|telefoon|mobile?|m[óo]vil|portable|cellulare|puhelin"
    r"|cellphone|text me (?:at|on)|call (?:me|us) (?:at|on|under)|reach (?:me|us) (?:at|on|under))"
    r"[\s_]{0,2}(?:no|nr|num(?:ber|ero)?|#)?[\s.:=#)\"'-]{0,6}(?:is |at |on )?$"
)
_NAME_CHARS = 32
_NUMBERED = re.compile(
    r"(?i)(?:\d{3} ?|# ?|(?:inv|(?<![^\W_])(?:invoice|bill|doc|document|ref|reference|receipt|order|ticket|reservation"
    r"|booking|id|gst|vat|tax|reg|acc|account|code|serial|sku|batch|isbn))\W{0,2}(?:no|nr|num(?:ber)?|#|id)?"
    r"[^\w\n]{0,4}(?:[\w-]{1,12}/){0,3})$"
)
"""What stands before the numbers of other things."""
_DATE = re.compile(
    r"(?<![\d./-])(?:0?[1-9]|[12]\d|3[01])[./-](?:0?[1-9]|1[0-2])[./-](?:\d{4}|\d\d)(?![./-]?\d)"
    r"|(?<!\d)(?:19|20)\d\d[./-](?:0?[1-9]|1[0-2])[./-](?:0?[1-9]|[12]\d|3[01])(?!\d)"
)
_AMOUNT = re.compile(r"(?<![\d.])\d+\.\d\d?(?![\d.])")
_BEGINNING = re.compile(r"\(?\+|00[1-9]|\(?0[1-9]|(?:\([2-9]\d\d\) ?|[2-9]\d\d[-. ])[2-9]\d\d[-. ]\d{4}(?!\d)")
"""Of numbers that no word announces: a country's code, a trunk 0, the three groups of North America."""
_MIN_DIGITS, _MAX_DIGITS = 8, 15
"""After a word that says what it is one less: local numbers of seven."""
_REGIONS = (
    "US", "GB", "DE", "FR", "MY", "AU", "IT", "ES", "NL", "BE", "CH", "AT", "IE", "IN", "NZ", "ZA", "SE", "FI", "JP",
    "KR", "CN", "BR", "MX", "TR", "IL", "ID", "TH", "PH", "VN", "AE", "EG", "NG", "KE", "UA", "RO",
)  # fmt: skip
"""Whose national spellings are known; numbers with + and the country's code are known of all."""


def phones(text: str) -> Iterator[PersonalSpan]:
    """Numbers with their country's code, in their country's grouping, or after a word like "tel".

    Of the first 50 groups of digits that may be one; where there are more, a last span says so.
    """
    text = _AMOUNT.sub(lambda amount: "_" * len(amount[0]), text)  # a column of prices ends at a number beside it
    tries = place = last = 0
    while candidate := _CANDIDATE.search(text, place):
        place = candidate.end()
        for begin, ends, is_named in _readings(text, candidate, last):
            tries += len(ends)
            if tries > _MAX_TRIES:
                yield PersonalSpan(UNREAD, begin, len(text))
                return
            if found := _end(text, begin, ends, is_named=is_named):
                place = last = found
                yield PersonalSpan(KIND, begin, found)
                break


def _readings(text: str, candidate: re.Match[str], last_number: int) -> Iterator[tuple[int, list[int], bool]]:
    """Where a number may begin, where it may end, the last first, and whether a word before it says what it is.

    `last_number` is where another one ended: a list of them goes on.
    """
    if _DATE.search(candidate[0]):
        return
    first, last = candidate.span()
    if candidate[0].startswith("(") and ")" not in candidate[0]:
        first += 1
    breaks = [(first + found.start(), first + found.end()) for found in _BREAK.finditer(text[first:last])]
    is_named = _NAMED.search(text[max(0, first - _NAME_CHARS) : first]) is not None
    for begin in (first, *(end for _, end in breaks)):
        before = text[max(last_number, begin - _NAME_CHARS) : begin]
        is_numbered = _NUMBERED.search(before) and not text.startswith(("+", "(+"), begin)
        if is_named or (_BEGINNING.match(text, begin) and not is_numbered):
            least = _MIN_DIGITS - 1 if is_named else _MIN_DIGITS
            ends = [last, *(start for start, _ in reversed(breaks))]
            ends = [begin + len(text[begin:end].rstrip(" .(/-")) for end in ends]
            yield begin, [end for end in ends if least <= _digits(text[begin:end]) <= _MAX_DIGITS], is_named
        is_named = False


def _digits(text: str) -> int:
    return sum(map(str.isdigit, text))


def _end(text: str, begin: int, ends: list[int], *, is_named: bool) -> int:
    """Where the number ends that begins there; 0 for none."""
    for end in ends:
        number = text[begin:end]
        if _is_international(number) or national_region(number, is_named=is_named):
            return end
    return ends[-1] if ends and is_named else 0  # a word says so, whatever the country


def _is_international(text: str) -> bool:
    """Whether a country's numbers are as long: which of them are in use changes more often than the plans we know."""
    number = re.sub(r"^\(?(?:\+|00(?=[1-9]\d{0,2}\D))", "+", text)
    try:
        return number.startswith("+") and is_possible_number(parse(number))
    except NumberParseException:
        return False


def _is_valid(text: str, region: str) -> bool:
    try:
        return is_valid_number(parse(text, region))
    except NumberParseException:
        return False


def national_region(text: str, *, is_named: bool) -> str:
    """The country that has such a number, grouped as there unless a word before it says what it is; empty for none."""
    digits = re.sub(r"\D", "", text)
    for region, prefix, pattern in _plans():
        if not pattern.fullmatch(digits.removeprefix(prefix)) or not _is_valid(text, region):
            continue
        matcher = PhoneNumberMatcher(text, region, leniency=Leniency.STRICT_GROUPING, max_tries=1)
        if is_named or (text != digits and matcher.has_next() and matcher.next().raw_string == text):
            return region
    return ""


@cache
def _plans() -> list[tuple[str, str, re.Pattern[str]]]:
    """Each region's trunk prefix and what all its numbers look like: a hundredth of the cost of parsing one."""
    # Importing scipy leaves Python's own cache of expressions with 50 places, of which the library needs hundreds:
    # without one of its own it compiles them at each call, ten times as slowly.
    enable_pattern_cache()
    plans = []
    for region in _REGIONS:
        plan = PhoneMetadata.metadata_for_region(region)
        assert plan is not None, f"libphonenumber knows {region}"
        pattern = plan.general_desc.national_number_pattern if plan.general_desc else None
        assert pattern, f"libphonenumber knows the numbers of {region}"
        plans.append((region, plan.national_prefix or "", re.compile(pattern)))
    return plans
