"""Replaces personal data in the rows of a dataset, in inputs and outputs alike."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.contracts.spec import ContractSpec
from shared.names import invalid_field
from trainer_svc.curation.judgement import RowRefused, judge
from trainer_svc.curation.personal.base import UNREAD, PersonalDataFinder, PersonalSpan
from trainer_svc.curation.pseudonym.known import KnownPseudonyms, UnknownFinder
from trainer_svc.curation.pseudonym.place import OwnValues, joined, joined_spans, within
from trainer_svc.curation.pseudonym.register import NothingFree, Place, Register
from trainer_svc.curation.pseudonym.rewrite import Unwritable, rewrite
from trainer_svc.curation.pseudonym.work import Work
from trainer_svc.curation.reader.row import Row
from trainer_svc.domain.dataset import CheckedRow

MAX_FINDS = 500_000
"""Places in one dataset; each takes some hundred bytes until all are replaced."""
MAX_SECONDS = 900.0
"""Of processor time: 5,000 rows of real data take 20, and rows that are made for it could take hours."""
_ROUNDS = 3
"""A find may come to light only when another is gone; what comes after so many has the row dropped."""


_NAME_CHARS, _MAX_NAMES = 64, 10_000


@dataclass(frozen=True)
class Outcome:
    """What became of one row: `row` is None for one that is dropped. Neither text says what was found."""

    row: CheckedRow | None
    message: str


class Replacement:
    """One curation's: the table of pseudonyms lives as long as this does."""

    def __init__(
        self, spec: ContractSpec, finder: PersonalDataFinder, known: KnownPseudonyms, randomness: random.Random
    ) -> None:
        self._spec, self._known = spec, known
        self._finder = UnknownFinder(finder, known)
        self._register = Register(randomness)
        self._finds = 0
        self._clean: set[str] = set()
        """Names of fields, mostly: a model need not read them again for each row."""
        self._end = time.thread_time() + MAX_SECONDS

    def replace(self, rows: Sequence[CheckedRow]) -> dict[int, Outcome]:
        """What became of rows that hold personal data, by their place in `rows`.

        Afterwards the finder finds nothing in those that stay but known pseudonyms, to which those of now are added.

        Raises:
            InvalidInput: FIELD_INVALID of `steps`: there are more finds than can be replaced, or it takes too long.
        """
        work = [Work(row) for row in rows]
        searched: Iterable[Work] = work
        for _ in range(_ROUNDS):
            count = len(self._register)
            for one in searched:
                self._search(one)
            if not any(one.spans for one in work):
                break
            is_new = len(self._register) > count
            for one in work:
                if is_new or one.spans:  # a value that is new may stand where nothing was found
                    self._rewrite(one)
            searched = [one for one in work if one.is_fresh]
        else:
            for one in searched:
                self._search(one)
                if one.spans:
                    one.drop("holds personal data still after it was replaced")
        return {place: self._outcome(one) for place, one in enumerate(work) if one.message or one.kinds}

    def _search(self, one: Work) -> None:
        """Notes and registers what is found in a row."""
        one.spans, one.is_fresh = {}, False
        if one.message:
            return
        place = 0

        def look(label: str, text: str) -> str:
            nonlocal place
            for span in self._spans(label, text):
                if span.kind == UNREAD:
                    one.drop(f"holds {UNREAD}")
                else:
                    one.spans.setdefault(place, []).append(span)
                    one.own.add(self._register.add(span.kind, text[span.begin : span.end]))
            place += 1
            self._check_time()
            return text

        rewrite(self._spec.kind, one.row, look)
        self._finds += sum(map(len, one.spans.values()))
        if one.message:
            one.spans = {}
        if self._finds > MAX_FINDS:
            raise invalid_field("steps", f"there are more than {MAX_FINDS} finds of personal data: curate fewer rows")

    def _spans(self, label: str, text: str) -> list[PersonalSpan]:
        """Places in the text, by position; of those that overlap one, which is no known spelling of either."""
        if not label and text in self._clean:
            return []
        spans = self._finder.find(label + text)
        if not spans and not label and len(text) <= _NAME_CHARS and len(self._clean) < _MAX_NAMES:
            self._clean.add(text)
        return joined_spans(within(text, len(label), spans))

    def _rewrite(self, one: Work) -> None:
        if one.message:
            return
        place, values = 0, OwnValues(one.own)
        own = set(map(self._register.without_prefix, one.own))

        def change(_: str, text: str) -> str:
            nonlocal place
            spans = one.spans.get(place, [])
            place += 1
            others = [*self._register.occurrences(text, own), *values.occurrences(text)]
            return self._changed(one, others, text, spans)

        try:
            row = rewrite(self._spec.kind, one.row, change)
        except (Unwritable, NothingFree) as err:
            one.drop(str(err))
            return
        if row != one.row:
            one.row, one.is_fresh = row, True

    def _changed(self, one: Work, others: Sequence[Place], text: str, spans: Sequence[PersonalSpan]) -> str:
        register = self._register
        found = [Place(span.begin, span.end, register.add(span.kind, text[span.begin : span.end])) for span in spans]
        parts, end = [], 0
        self._check_time()
        for begin, until, value in joined(found, others):
            pseudonym = register.pseudonym(value, text[begin:until])
            self._known.add(pseudonym)
            one.kinds[value.kind] += 1
            parts += [text[end:begin], pseudonym]
            end = until
            self._check_time()
        return "".join([*parts, text[end:]])

    def _outcome(self, one: Work) -> Outcome:
        if one.message:
            return Outcome(None, one.message)
        told = ", ".join(f"{kind}{f' ({count})' if count > 1 else ''}" for kind, count in one.kinds.items())
        row, message = self._judged(one.row), f"a pseudonym for {told}"
        if row is None and self._judged(one.before) is not None:
            return Outcome(None, f"its output cannot keep the contract with {message}")
        return Outcome(row or one.row, message)

    def _judged(self, row: CheckedRow) -> CheckedRow | None:
        """The row as the check will store it; None for one that it refuses, as it does held-out misses."""
        try:
            return judge(Row(row.row, {"input": row.input, "output": row.output}, row.synthetic), self._spec)[1]
        except RowRefused:
            return None

    def _check_time(self) -> None:
        if time.thread_time() > self._end:
            raise invalid_field("steps", f"replacing personal data takes over {MAX_SECONDS:g} s: curate fewer rows")
