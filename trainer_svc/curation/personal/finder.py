"""The finder that is built in: identifiers and telephone numbers, by form and check digits, without a model."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trainer_svc.curation.personal.base import PersonalSpan, without_overlaps
from trainer_svc.curation.personal.identifier import KINDS, identifiers
from trainer_svc.curation.personal.phone import KIND, phones

_NEEDED = re.compile("[@0-9]")
"""Nothing personal is known here that has neither: most texts are done with."""


class PatternFinder:
    """Implements `PersonalDataFinder`. Finds no names, places or dates of birth: they take a model."""

    @property
    def kinds(self) -> Sequence[str]:
        """Seven."""
        return (*KINDS, KIND)

    def find(self, text: str) -> Sequence[PersonalSpan]:
        """Of spans that overlap the surer one: a card's number is no telephone's."""
        if not _NEEDED.search(text):
            return ()
        return without_overlaps([*identifiers(text), *phones(text)])


PATTERNS = PatternFinder()
"""It has no state."""
