"""Personal data made up for planting, and who judges what the gate found beside it.

Spellings are those of national conventions, written down here and not taken from the libraries that the gate uses.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

_GIVEN = "anna bo chiara dmitri elif fatou györgy hana ivan jürgen khadija liam mei nuno olga paweł quinn rosa".split()
_FAMILY = "abe bauer costa dvořák eze ferrari garcia hughes ito jensen kaya larsen moreau nowak okafor".split()
_DOMAINS = (
    "gmail.com", "web.de", "orange.fr", "mail.ru", "yahoo.co.uk", "acme-tools.example", "hr.corp.internal",
    "uni-köln.de", "foo.bar.museum", "x.io", "bücher.example", "123-reg.co.za",
)  # fmt: skip
_BANKS = {
    "DE": "##################", "FR": "##########AAAAAAAAAAA##", "GB": "BBBB##############", "NL": "BBBB##########",
    "ES": "####################", "IT": "B##########AAAAAAAAAAAA", "PL": "########################",
    "NO": "###########", "CH": "#####AAAAAAAAAAAA", "BE": "############", "TR": "######AAAAAAAAAAAAAAAA",
    "SE": "####################",
}  # fmt: skip
"""After country and check digits: # a digit, B a letter, A either."""
_PHONES = (
    "+1 212 5## ####", "(415) 2##-####", "312-4##-####", "650.3##.####", "+44 7700 900###", "020 7946 0###",
    "0161 496 0###", "+49 151 2#######", "030 2#######", "0176/2#######", "089 / 4######", "+33 6 ## ## ## ##",
    "01 4# ## ## ##", "06.12.##.##.##", "+34 6## ### ###", "tel. 91 5## ## ##", "+39 06 698# ####", "+31 20 62# ####",
    "06-2#######", "+32 2 50# ## ##", "079 2## ## ##", "044 66# ## ##", "+43 1 58# ####", "0412 3## ###",
    "(02) 92## ####", "03-78## ####", "012-3## ####", "+91 98### #####", "phone: 98### #####", "+55 11 9#### ####",
    "03-32##-####", "+81 90-12##-####", "08-5## ### ##", "+48 60# ### ###", "+45 2# ## ## ##", "Tlf. 2# ## ## ##",
    "+65 9### ####", "+971 50 ### ####", "mobile 07400 1#####", "0044 20 7946 0###", "call me at 555-0###",
)  # fmt: skip


def email(rng: random.Random) -> str:
    """One of many forms."""
    given, family = rng.choice(_GIVEN), rng.choice(_FAMILY)
    local = rng.choice((f"{given}.{family}", f"{given[0]}{family}", f"{given}_{family}{rng.randrange(99)}",
                        f"{family}+{given}", f"{given}-{family}.x", f"{given}{rng.randrange(1960, 2010)}"))  # fmt: skip
    text = f"{local}@{rng.choice(_DOMAINS)}"
    return text.upper() if rng.random() < 0.15 else text


def iban(rng: random.Random) -> str:
    """With check digits, in one piece or in groups."""
    country, form = rng.choice(sorted(_BANKS.items()))
    letters, digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
    signs = {"#": digits, "B": letters, "A": digits + letters}
    body = "".join(rng.choice(signs[sign]) for sign in form)
    number = int("".join(str("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".index(sign)) for sign in body + country + "00"))
    code = f"{country}{98 - number % 97:02}{body}"
    groups = [code[at : at + 4] for at in range(0, len(code), 4)]
    return rng.choice((code, code, " ".join(groups), " ".join(groups), "-".join(groups), code.lower()))


def phone(rng: random.Random) -> str:
    """In the spelling of some country; where it is no more than digits, after a word."""
    return re.sub("#", lambda _: str(rng.randrange(10)), rng.choice(_PHONES))


MAKERS: dict[str, tuple[str, Callable[[random.Random], str]]] = {
    "e-mail": ("an e-mail address", email),
    "IBAN": ("a bank account number (IBAN)", iban),
    "phone": ("a telephone number", phone),
}
"""By fault: what the gate calls it, and who makes it up."""

_WORD = re.compile(
    r"(?i)(?<![^\W\d_])(?:tel(?:ephone)?|fax|h/?p|phone|mobile|hotline|whatsapps?|call|line|t|f)\W*(?:no)?[^a-z0-9]*$"
)
"""A word of its own: the end of "amount" or "of" says nothing."""
_PLAN = re.compile(r"(?:\+?60|0)(?:3\d{8}|[4-79]\d{7}|8[2-9]\d{6}|1\d{8,9})")
"""Telephone numbers of Malaysia, where all receipts are from: areas 3 to 9, mobiles 1."""
_STRICT_EMAIL = re.compile(r"[\w.+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,6}")
_CARD_WORD = re.compile(r"(?i)card|visa|master")


def is_personal(kind: str, text: str, begin: int, end: int) -> bool:
    """Whether what was there before is what the gate says, by rules that are not the gate's."""
    value, before = text[begin:end], text[max(0, begin - 30) : begin]
    digits = re.sub(r"[^\d+]", "", value)
    if kind == "an e-mail address":
        return _STRICT_EMAIL.fullmatch(value) is not None
    if kind == "a telephone number":
        return _WORD.search(before) is not None or _PLAN.fullmatch(digits) is not None
    if kind == "a payment card number":
        return len(digits) == 16 and _CARD_WORD.search(text) is not None
    return False
