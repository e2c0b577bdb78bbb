"""Identifiers of people by their form: e-mail, IBAN, payment card, IP address, US social security, wallet.

Each expression reads a text once, whatever stands in it, and a check digit decides where there is one. Presidio knows
the same kinds; importing it brings torch, transformers and spaCy into the service (6.4 s, 350 MB more; 2.2.366).
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable, Iterator

from trainer_svc.curation.personal.base import PersonalSpan

_EMAIL = re.compile(
    r"(?<![\w.+%-])[\w+%][\w.+%'-]{0,63}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}"
    r"(?:xn--[\w-]{2,59}|[^\W\d_]{2,24})(?![\w-])"
)
_CARD = re.compile(
    r"(?<![\w.,-])(?:[0-9]{14,16}|[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5})"
    r"(?![\w-])"
)
_ISSUERS = (
    (16, range(4000, 5000)), (16, range(5100, 5600)), (16, range(2221, 2721)), (15, range(3400, 3500)),
    (15, range(3700, 3800)), (16, range(6011, 6012)), (16, range(6440, 6600)), (16, range(3528, 3590)),
    (16, range(6200, 6300)), (14, range(3000, 3060)), (14, range(3600, 3700)), (14, range(3800, 4000)),
)  # fmt: skip
"""Digits, and what the first four are: Visa, Mastercard, American Express, Discover, JCB, UnionPay, Diners Club."""
_IBAN_CHARS = {
    entry[:2]: int(entry[2:])
    for entry in (
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
        "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
        "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 "
        "PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 "
        "YE30"
    ).split()
}
"""By country: ISO 13616 registry."""
_IBAN = re.compile(rf"(?<![^\W_])({'|'.join(_IBAN_CHARS)})[0-9]{{2}}(?=[ \u00a0-]?[A-Z0-9])", re.IGNORECASE)
_IBAN_TAIL = {
    count: re.compile(rf"(?:[ \u00a0-]?[A-Z0-9]){{{count - 4}}}(?![^\W_])", re.IGNORECASE)
    for count in set(_IBAN_CHARS.values())
}
_IP = re.compile(
    r"(?<![\w.])(?<![0-9a-f:]:)(?:(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w:]|\.[0-9])|(?=[0-9a-f:]{0,4}:)[0-9a-f:]{2,39}(?![\w:.]))",
    re.IGNORECASE,
)
_VERSION = re.compile(r"(?i)\b(?:v|ver|version|release|build)[.:]? ?$")
_SSN = re.compile(
    r"(?<![\w.-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![\w-])"
    r"|(?i:\b(?:ssn|social security)[^0-9\n]{0,20})"
    r"(?!000|666|9)([0-9]{3}([ .-]?)(?!00)[0-9]{2}\2(?!0000)[0-9]{4})(?![\w-])"
)
_WALLET = re.compile(
    r"(?<!\w)(?:0x[0-9a-fA-F]{40}|(?:bc1|BC1)[02-9ac-hj-np-zAC-HJ-NP-Z]{11,71}|[13][1-9A-HJ-NP-Za-km-z]{25,34})(?!\w)"
)
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_EMAIL_KIND, _IBAN_KIND, _CARD_KIND = "an e-mail address", "a bank account number (IBAN)", "a payment card number"
_WALLET_KIND, _SSN_KIND, _IP_KIND = "a wallet address", "a US social security number", "an IP address"
KINDS = (_EMAIL_KIND, _IBAN_KIND, _CARD_KIND, _WALLET_KIND, _SSN_KIND, _IP_KIND)


def identifiers(text: str) -> Iterator[PersonalSpan]:
    """Spans by kind, the surest kinds first; a social security number is the only one without a check of its own."""
    if "@" in text:
        yield from _matches(_EMAIL_KIND, _EMAIL, text)
    yield from _ibans(text)
    yield from _matches(_CARD_KIND, _CARD, text, lambda found: is_card(re.sub("[ -]", "", found[0])))
    yield from _matches(_WALLET_KIND, _WALLET, text, lambda found: _is_wallet(found[0]))
    yield from _matches(_SSN_KIND, _SSN, text, lambda found: len(set(found[0])) > 2)
    yield from _matches(_IP_KIND, _IP, text, lambda found: _is_address(found[0], text[: found.start()][-12:]))


def _matches(
    kind: str, pattern: re.Pattern[str], text: str, is_one: Callable[[re.Match[str]], bool] = lambda _: True
) -> Iterator[PersonalSpan]:
    for found in pattern.finditer(text):
        if is_one(found):
            group = 1 if pattern is _SSN and found[1] else 0
            yield PersonalSpan(kind, *found.span(group))


def _ibans(text: str) -> Iterator[PersonalSpan]:
    for head in _IBAN.finditer(text):
        tail = _IBAN_TAIL[_IBAN_CHARS[head[1].upper()]].match(text, head.end())
        if tail and is_iban(re.sub(r"[^A-Z0-9]", "", (head[0] + tail[0]).upper())):
            yield PersonalSpan(_IBAN_KIND, head.start(), tail.end())


def is_iban(code: str) -> bool:
    """ISO 7064 mod 97-10: letters as 10 to 35, country and check digits last; the rest is 1."""
    return int("".join(str(int(sign, 36)) for sign in code[4:] + code[:4])) % 97 == 1


def is_card(number: str) -> bool:
    """Luhn (ISO/IEC 7812): the digits' sum, with every second from the right doubled, ends in 0."""
    total = sum(int(digit) for digit in number[-1::-2])
    total += sum(sum(divmod(2 * int(digit), 10)) for digit in number[-2::-2])
    return total % 10 == 0 and any(len(number) == count and int(number[:4]) in first for count, first in _ISSUERS)


def _is_address(text: str, before: str) -> bool:
    if not re.search("[0-9]", text) or _VERSION.search(before):
        return False
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_unspecified or address.is_loopback)


def _is_wallet(text: str) -> bool:
    if text.startswith("0x"):
        return True
    return is_bech32(text.lower()) if text[:3].lower() == "bc1" else is_base58(text)


def is_base58(text: str) -> bool:
    """Bitcoin: 21 bytes and the first 4 of their double SHA-256."""
    number = 0
    for sign in text:
        number = number * 58 + BASE58.index(sign)
    data = number.to_bytes(26, "big")[-25:]
    return number < 1 << 200 and hashlib.sha256(hashlib.sha256(data[:21]).digest()).digest()[:4] == data[21:]


def is_bech32(text: str) -> bool:
    """BIP 173 and 350: the rest is 1, or 0x2bc830a3."""
    return set(text[3:]) <= set(BECH32) and bech32_rest(text) in (1, 0x2BC830A3)


def bech32_rest(text: str) -> int:
    """The BCH code's remainder over prefix and data of an address in small letters."""
    rest = 1
    for value in (3, 3, 0, 2, 3, *map(BECH32.index, text[3:])):  # "bc" in halves
        top, rest = rest >> 25, (rest & 0x1FFFFFF) << 5 ^ value
        for bit, part in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            rest ^= part if top >> bit & 1 else 0
    return rest
