"""A row while what it holds is replaced."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from trainer_svc.curation.personal.base import PersonalSpan
from trainer_svc.curation.pseudonym.register import Value
from trainer_svc.domain.dataset import CheckedRow


@dataclass
class Work:
    """`row` is as it is by now."""

    row: CheckedRow
    before: CheckedRow = field(init=False)
    spans: dict[int, list[PersonalSpan]] = field(default_factory=dict)
    """What was found in each of its texts, by their order, and not yet replaced."""
    own: set[Value] = field(default_factory=set)
    """Values that were found in it."""
    kinds: Counter[str] = field(default_factory=Counter)
    """What was replaced."""
    message: str = ""
    """Why it is dropped."""
    is_fresh: bool = False
    """Changed since the finder read it."""

    def __post_init__(self) -> None:
        """Keeps the row as it was."""
        self.before = self.row

    def drop(self, message: str) -> None:
        """Nothing more is done to it."""
        self.message, self.spans = message, {}
