"""Fields whose values are written in several ways: 2024-03-01 in most rows, 1.3.2024 in some, or 2 kg and 500 g."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from shared.contracts.spec import ContractKind
from trainer_svc.curation.form import FORMS
from trainer_svc.curation.leaf import Leaf, leaves
from trainer_svc.curation.unit import KNOWN_CURRENCIES, MONEY, is_money_of, unit_of
from trainer_svc.domain.dataset import CheckedRow, Finding

_MIN_VALUES = 20
"""Written in the usual way, below which that is no rule."""
_RULE = 0.9
"""Of the values written in one way: the others break a rule."""
_COPIED = 0.8
"""Of the values that stand so in their inputs: the field is copied from there, however it is written."""
_MAX_MIXED_UNITS = 3
"""Of a field without a rule: with more each amount has the unit that suits it, as in a recipe."""
_MAX_CHARS = 40
"""Of a value with a format: what is longer is prose."""
_MAX_FIELDS = 1_000
_MAX_WORDS = 1_000
"""Different ones of a field: with more it holds names or prose, not terms."""
_MAX_SPELLINGS = 100_000
"""Of all fields together: what is spelt anew after that is not compared."""
_MAX_PLACES = 100
"""Of a value in its input that are looked at."""
_MIN_USES = 5
_USUAL = 0.8
"""Of a word's uses that are spelt in one way: the others are slips."""


@dataclass
class _Field:
    """What is known of a field after all rows were read."""

    values: int = 0
    copied: int = 0
    forms: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """By kind of form, how often each was used."""
    units: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """By what is measured, how often each was used."""
    words: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Spellings of each word."""
    mixtures_told: set[str] = field(default_factory=set)

    def add(self, leaf: Leaf, *, is_copied: bool, may_grow: bool) -> bool:
        """One more value; whether a spelling was added to those that are remembered, which `may_grow` allows."""
        self.values += 1
        self.copied += is_copied
        for kind, form_of in FORMS.items():
            if form := form_of(leaf.value):
                self.forms[kind][form] += 1
        quantity, unit = unit_of(leaf.value)
        if unit:
            self.units[quantity][unit] += 1
        word = _word(leaf.value)
        if not word or (word not in self.words and (len(self.words) >= _MAX_WORDS or not may_grow)):
            return False
        spelling, spellings = str(leaf.value), self.words[word]
        is_new = spelling not in spellings
        if not is_new or may_grow:
            spellings[spelling] += 1
        return is_new and may_grow

    @property
    def is_compared(self) -> bool:
        """Whether its values are written by a rule of their own."""
        return self.copied < _COPIED * self.values


def format_findings(kind: ContractKind, rows: Sequence[CheckedRow]) -> Iterator[Finding]:
    """Findings about values of JSON that are written unlike others of their field."""
    if kind is not ContractKind.JSON:
        return
    fields = _fields(kind, rows)
    for row in rows:
        for leaf in leaves(kind, row.output):
            known = fields.get(leaf.field)
            if known and known.is_compared and _may_differ(leaf):
                for reason, message in (*_forms(known, leaf), *_units(known, leaf, row), *_spellings(known, leaf, row)):
                    path = f"rows[{row.row}].output" + (f"#{leaf.pointer}" if leaf.pointer else "")
                    yield Finding(row.row, reason, path, message, blocking=False)


def _fields(kind: ContractKind, rows: Sequence[CheckedRow]) -> dict[str, _Field]:
    fields: dict[str, _Field] = {}
    left = _MAX_SPELLINGS
    for row in rows:
        for leaf in leaves(kind, row.output):
            if _may_differ(leaf) and (leaf.field in fields or len(fields) < _MAX_FIELDS):
                known = fields.setdefault(leaf.field, _Field())
                left -= known.add(leaf, is_copied=_is_copied(leaf, row), may_grow=left > 0)
    return fields


def _may_differ(leaf: Leaf) -> bool:
    return not (leaf.value is None or isinstance(leaf.value, bool) or len(str(leaf.value)) > _MAX_CHARS)


def _is_copied(leaf: Leaf, row: CheckedRow) -> bool:
    """Whether a value stands in its input, not as a part of a longer word or number."""
    text, source, end = str(leaf.value), row.input, 0
    for _ in range(_MAX_PLACES if text else 0):
        begin = source.find(text, end)
        if begin < 0:
            return False
        end = begin + len(text)
        if not source[max(0, begin - 1) : begin].isalnum() and not source[end : end + 1].isalnum():
            return True
    return False


def _forms(known: _Field, leaf: Leaf) -> Iterator[tuple[str, str]]:
    """Where dates, times, amounts and quantities are not written alike."""
    form_of: Callable[[object], str]
    for kind, form_of in FORMS.items():
        if form := form_of(leaf.value):
            yield from _unlike(known, leaf, kind, form, known.forms[kind])


def _units(known: _Field, leaf: Leaf, row: CheckedRow) -> Iterator[tuple[str, str]]:
    """Where an amount has another unit than the others: kg and g, EUR and USD.

    Not where the field holds amounts of several things, nor of a currency that the input speaks of, or may speak of by
    a sign or word that is not known here: a mass can be written in any unit, a price cannot.
    """
    quantity, unit = unit_of(leaf.value)
    if not unit or len(known.units) > 1:
        return
    if quantity == MONEY and (unit not in KNOWN_CURRENCIES or is_money_of(unit, row.input)):
        return
    told = _unlike(known, leaf, MONEY if quantity == MONEY else f"unit of {quantity}", unit, known.units[quantity])
    is_free = len(known.units[quantity]) > _MAX_MIXED_UNITS
    yield from (found for found in told if not (is_free and found[0] == "FIELD_FORMATS_MIXED"))


def _unlike(known: _Field, leaf: Leaf, kind: str, form: str, forms: Counter[str]) -> Iterator[tuple[str, str]]:
    """Where a form breaks a rule; where there is none, once in a field."""
    if len(forms) == 1:
        return
    (usual, count), *others = forms.most_common()
    total = forms.total()
    if count < _MIN_VALUES or form == usual:
        return
    if count >= _RULE * total:
        rule = f"{count} of {total} values of this field are written as {usual}"
        yield "FORMAT_DIFFERS", f"writes a {kind} as {form}, {leaf.value!r}; {rule}"
    elif kind not in known.mixtures_told:
        known.mixtures_told.add(kind)
        ways = ", ".join(f"{way} ({number})" for way, number in [(usual, count), *others][:5])
        yield "FIELD_FORMATS_MIXED", f"a {kind} is written in several ways in this field: {ways}"


def _spellings(known: _Field, leaf: Leaf, row: CheckedRow) -> Iterator[tuple[str, str]]:
    """Where one and the same word is written with other case, spaces or punctuation."""
    spellings = known.words.get(_word(leaf.value), Counter())
    if len(spellings) < 2 or _is_copied(leaf, row):
        return
    usual, count = spellings.most_common(1)[0]
    if leaf.value != usual and count >= max(_MIN_USES, _USUAL * spellings.total()):
        yield "SPELLING_DIFFERS", f"spells {leaf.value!r}, {count} other values are spelt {usual!r}"


def _word(value: object) -> str:
    """A value without case, and without spaces and punctuation between its letters; empty where digits say more."""
    if not isinstance(value, str) or re.search(r"\d", value):
        return ""
    return re.sub(r"(?<=\w)[\s_.,'/-]+(?=\w)", "", value.strip(" .").casefold())
