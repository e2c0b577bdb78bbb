"""Which pseudonym each value has: a table that one curation fills and throws away."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from trainer_svc.curation.personal.identifier import KINDS
from trainer_svc.curation.personal.phone import KIND as PHONE
from trainer_svc.curation.pseudonym.base import Form, squash
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
        self._by_squash: dict[str, Value] = {}
        self._pseudonyms: dict[Value, str] = {}
        self._taken: set[str] = set()
        self._index = ValueIndex()

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, kind: str, text: str) -> Value:
        """The value that was found, of the kind that it was found as first."""
        value = self._value(kind, text)
        if value not in self._samples:
            self._samples[value] = text
            self._taken.add(value.key)
            if value.is_known_form and (kind != PHONE or len(value.key) >= MIN_CORE_DIGITS):
                looked_for = value.key if kind == PHONE else text
                self._by_squash.setdefault(squash(looked_for), value)
                self._index.add(looked_for)
        return value

    def occurrences(self, text: str) -> Iterator[Place]:
        """Where values stand in a text, found there or not."""
        for begin, end in self._index.find(text):
            value = self._by_squash[squash(text[begin:end])]
            if self._form(value).key(text[begin:end]) == value.key:
                yield Place(begin, end, value)

    def pseudonym(self, value: Value, text: str) -> str:
        """What stands for a value that was added, in the spelling of `text`."""
        value = self._without_prefix(value)
        form = self._form(value)
        key = self._pseudonyms.get(value)
        if key is None:
            key = next(
                other for other in form.others(self._samples[value], self._randomness) if other not in self._taken
            )
            self._taken.add(key)
            self._pseudonyms[value] = key
        return form.spell(text, key)

    def _without_prefix(self, value: Value) -> Value:
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
        other = self._by_squash.get(squash(key))
        if other is not None and self._form(other).key(text) == other.key:
            return other  # digits that are a card's number here and a telephone's there
        return Value(kind, key, is_known_form=True)

    def _form(self, value: Value) -> Form:
        return _FORMS[value.kind] if value.is_known_form else PlaceholderForm(value.kind)
