"""Which pseudonym each value has: a table that one curation fills and throws away."""

from __future__ import annotations

import random
from collections.abc import Container, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from trainer_svc.curation.personal.identifier import KINDS
from trainer_svc.curation.personal.phone import KIND as PHONE
from trainer_svc.curation.pseudonym.base import Form, digits_of, squash
from trainer_svc.curation.pseudonym.index import ValueIndex
from trainer_svc.curation.pseudonym.internet import EmailForm, IpForm
from trainer_svc.curation.pseudonym.number import CardForm, IbanForm, SsnForm
from trainer_svc.curation.pseudonym.phone import MAX_PREFIX_DIGITS, MIN_CORE_DIGITS, PREFIXES, PhoneForm
from trainer_svc.curation.pseudonym.placeholder import PlaceholderForm
from trainer_svc.curation.pseudonym.wallet import WalletForm

_EMAIL, _IBAN, _CARD, _WALLET, _SSN, _IP = KINDS
_FORMS: dict[str, Form] = {
    _EMAIL: EmailForm(), _IBAN: IbanForm(), _CARD: CardForm(), _WALLET: WalletForm(), _SSN: SsnForm(), _IP: IpForm(),
    PHONE: PhoneForm(),
}  # fmt: skip
_MAX_DRAWS = 1_000
"""For one pseudonym: where 99 % of a form's values are taken, one in 23,000 values finds none."""
_SURE_DIGITS = 9
"""Of a number that is personal data in another row: with fewer it may be an amount or a count here."""


class NothingFree(Exception):
    """All values of a form have been found or given out, or nearly all."""


@dataclass(frozen=True)
class Value:
    """One value; equal for all its spellings."""

    kind: str
    key: str
    is_known_form: bool
    """Whether it is looked for in the whole dataset: what only a finder understands may be any word elsewhere."""


class Place(NamedTuple):
    """Where a value stands in a text."""

    begin: int
    end: int
    value: Value


class Register:
    """Values that were found, and the pseudonym of each.

    They are drawn, not computed from the values: with the table gone nothing leads back, not even a secret.
    """

    def __init__(self, randomness: random.Random) -> None:
        self._randomness = randomness
        self._samples: dict[Value, str] = {}
        self._kinds: dict[str, list[str]] = {}
        """Of values that are looked for, by squashed spelling; the kind that was first leads."""
        self._pseudonyms: dict[Value, str] = {}
        self._taken: set[str] = set()
        self._index = ValueIndex()

    def __len__(self) -> int:
        """Grows with each value and each new spelling of one."""
        return len(self._samples) + len(self._index)

    def add(self, kind: str, text: str) -> Value:
        """The value that was found, of the kind that it was found as first."""
        value = self._value(kind, text)
        if value not in self._samples:
            self._samples[value] = text
            self._taken.add(value.key)
        if value.is_known_form and (value.kind != PHONE or len(value.key) >= MIN_CORE_DIGITS):
            looked_for = value.key if value.kind == PHONE else text
            kinds = self._kinds.setdefault(squash(looked_for), [])
            if value.kind not in kinds:
                kinds.append(value.kind)
            self._index.add(looked_for)
        return value

    def occurrences(self, text: str, own: Container[Value]) -> Iterator[Place]:
        """Where values stand in a text of a row, found there or not.

        `own` are those that were found in the row, without prefix. Others are left where they have fewer than nine
        digits and no letter: "tel 123 4567" in one row must not change the total of another.
        """
        for begin, end in self._index.find(text):
            value = self._find(squash(text[begin:end]), text[begin:end])
            if value and (self.without_prefix(value) in own or _is_sure(text, begin, end)):
                yield Place(begin, end, value)

    def pseudonym(self, value: Value, text: str) -> str:
        """What stands for a value that was added, in the spelling of `text`. Raises `NothingFree`."""
        value = self.without_prefix(value)
        form = self._form(value)
        key = self._pseudonyms.get(value)
        if key is None:
            drawn = islice(form.others(self._samples[value], self._randomness), _MAX_DRAWS)
            key = next((other for other in drawn if other not in self._taken), None)
            if key is None:
                raise NothingFree(f"holds {value.kind}, and no other value of its form is free")
            self._taken.add(key)
            self._pseudonyms[value] = key
        return form.spell(text, key)

    def without_prefix(self, value: Value) -> Value:
        """Digits that are a number's core after a country's code are that number: `4930...` where `+49 30 ...` is."""
        if value.kind == PHONE:
            for count in range(min(MAX_PREFIX_DIGITS, len(value.key) - MIN_CORE_DIGITS), 0, -1):
                shorter = Value(PHONE, value.key[count:], is_known_form=True)
                if value.key[:count] in PREFIXES and shorter in self._samples:
                    return shorter
        return value

    def _value(self, kind: str, text: str) -> Value:
        form = _FORMS.get(kind)
        key = form.key(text) if form is not None else None
        if form is None or key is None:
            return Value(kind, PlaceholderForm(kind).key(text) or text, is_known_form=False)
        # Digits may be a card's number here and a telephone's there.
        return self._find(squash(key), text) or Value(kind, key, is_known_form=True)

    def _find(self, squashed: str, text: str) -> Value | None:
        for kind in self._kinds.get(squashed, ()):
            key = _FORMS[kind].key(text)
            if key is not None and (value := Value(kind, key, is_known_form=True)) in self._samples:
                return value
        return None

    def _form(self, value: Value) -> Form:
        return _FORMS[value.kind] if value.is_known_form else PlaceholderForm(value.kind)


def _is_sure(text: str, begin: int, end: int) -> bool:
    """Whether what stands there is hardly anything else; a prefix of telephone numbers counts with the number."""
    while begin and text[begin - 1].isdecimal():
        begin -= 1
    place = text[begin:end]
    return any(map(str.isalpha, place)) or len(digits_of(place)) >= _SURE_DIGITS
