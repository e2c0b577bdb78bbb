"""How a revision is compared with one that became live after its evaluation."""

from __future__ import annotations

from typing import Protocol

from trainer_svc.domain.comparison import Comparison
from trainer_svc.domain.registry import Revision


class LiveComparison(Protocol):
    """Compares two published revisions by what is stored of their answers."""

    def compare(self, revision: Revision, live: Revision) -> tuple[Comparison, ...] | None:
        """Comparisons of `revision` with `live`, paired on holdout rows that both answered; None where too few are.

        Called inside a transaction, on the database's thread: reads files of a run at most, generates nothing, takes
        milliseconds and raises nothing.
        """


class NotCompared:
    """Implements `LiveComparison`: nothing is stored of any answer."""

    def compare(self, revision: Revision, live: Revision) -> tuple[Comparison, ...] | None:
        """None."""
        return None


NOT_COMPARED: LiveComparison = NotCompared()
