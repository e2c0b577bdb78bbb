"""Rows whose personal data are replaced, and proved to be gone."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence

from shared.contracts.check import check_output
from shared.contracts.spec import ContractKind, ContractSpec
from trainer_svc.curation.personal.base import PersonalDataFinder, PersonalSpan
from trainer_svc.curation.personal.finder import PATTERNS
from trainer_svc.curation.personal.finding import personal_findings
from trainer_svc.curation.pseudonym.known import KnownPseudonyms, UnknownFinder
from trainer_svc.curation.pseudonym.replacement import Outcome, Replacement
from trainer_svc.domain.dataset import CheckedRow

ANY = ContractSpec(ContractKind.JSON, json_schema="{}")
TEXT = ContractSpec(ContractKind.REGEX, pattern="(.|\n)*")
SQL = ContractSpec(ContractKind.SQL, ddl="CREATE TABLE person (name TEXT, phone TEXT);")


class WordFinder:
    """Finds every place of some words, as a model would."""

    kinds = ("a name",)

    def __init__(self, *words: str) -> None:
        self._words = words

    def find(self, text: str) -> Sequence[PersonalSpan]:
        """Overlapping where the words do."""
        return [
            PersonalSpan("a name", found.start(), found.end())
            for word in self._words
            for found in re.finditer(re.escape(word), text)
        ]


class Bench:
    """A contract, a finder, and the pseudonyms that come of them."""

    def __init__(self, spec: ContractSpec = ANY, finder: PersonalDataFinder = PATTERNS, seed: int = 1) -> None:
        self.spec, self.finder, self.seed = spec, finder, seed
        self.known = KnownPseudonyms()
        self.outcomes: dict[int, Outcome] = {}

    def replace(self, *texts: tuple[str, object]) -> list[CheckedRow | None]:
        """Rows as they are afterwards, None for one that is dropped; none of the texts may hold what can be found."""
        rows = [
            CheckedRow(number, text, output if isinstance(output, str) else json.dumps(output))
            for number, (text, output) in enumerate(texts, 1)
        ]
        replacement = Replacement(self.spec, self.finder, self.known, random.Random(self.seed))
        self.outcomes = replacement.replace(rows)
        made = [self.outcomes[place].row if place in self.outcomes else row for place, row in enumerate(rows)]
        left = [row for row in made if row is not None and not check_output(self.spec, row.output)]
        finder = UnknownFinder(self.finder, self.known)
        assert list(personal_findings(self.spec.kind, left, finder)) == []
        return made
