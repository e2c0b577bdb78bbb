"""What reading a schema found out: the fate of each keyword, and every fault at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.contracts.report import KeywordFate, KeywordVerdict
from shared.errors import FieldViolation


@dataclass
class Ledger:
    """Collects verdicts and faults by JSON Pointer; a keyword that is checked once is checked, whatever else it is."""

    verdicts: dict[str, KeywordVerdict] = field(default_factory=dict)
    faults: dict[tuple[str, str], FieldViolation] = field(default_factory=dict)

    def enforce(self, pointer: str, note: str = "") -> None:
        """The grammar holds this keyword."""
        self.verdicts.setdefault(pointer, KeywordVerdict(pointer, KeywordFate.ENFORCED, note))

    def check(self, pointer: str, note: str) -> None:
        """The grammar holds this keyword in part or not at all: it is verified on the finished text."""
        known = self.verdicts.get(pointer)
        if known is None or known.fate is not KeywordFate.CHECKED:
            self.verdicts[pointer] = KeywordVerdict(pointer, KeywordFate.CHECKED, note)

    def annotate(self, pointer: str, note: str = "") -> None:
        """This keyword says nothing about validity."""
        self.verdicts.setdefault(pointer, KeywordVerdict(pointer, KeywordFate.ANNOTATION, note))

    def refuse(self, pointer: str, what: str) -> None:
        """This part cannot be guaranteed; `what` says why and what to do."""
        self.faults.setdefault((pointer, what), FieldViolation(f"json_schema#{pointer}", what))
