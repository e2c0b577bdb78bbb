"""What each kind of finding costs, and what to do about it: the one table of a dataset report."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Severity(enum.IntEnum):
    """What a finding costs, in rising order."""

    ADVICE = 1
    """Could be better."""
    WARNING = 2
    """Costs accuracy, flatters the evaluation, or gives something away."""
    ERROR = 3
    """Stops the training, or leaves the row out."""


@dataclass(frozen=True)
class FindingKind:
    """Of all findings with one reason; `remedy` is one line, without the details that the message of each has."""

    severity: Severity
    remedy: str


FINDING_KINDS: Mapping[str, FindingKind] = {
    "ROW_NOT_JSON": FindingKind(
        Severity.ERROR, "write one JSON object a line in UTF-8, or exclude invalid rows when sealing"
    ),
    "ROW_INVALID": FindingKind(
        Severity.ERROR, "give input, output and, if wanted, split, within their sizes; or exclude invalid rows"
    ),
    "CONTRACT_VIOLATED": FindingKind(
        Severity.ERROR, "correct the output, take a contract that allows it, or exclude invalid rows"
    ),
    "ROW_TOO_LONG": FindingKind(
        Severity.ERROR, "shorten the row, drop it, or take a base model with a longer context; nothing is ever cut"
    ),
    "ROW_NOT_TRAINABLE": FindingKind(
        Severity.ERROR, "mend the text that the base model's tokenizer does not keep, or exclude invalid rows"
    ),
    "FILE_UNREADABLE": FindingKind(
        Severity.ERROR, "write the file again in the format that the dataset names, and upload it as a new dataset"
    ),
    "FILE_TOO_LARGE": FindingKind(Severity.ERROR, "send fewer rows: beyond 5,000 little is gained"),
    "DATASET_TOO_SMALL": FindingKind(Severity.ERROR, "add rows, and hold out one at least"),
    "DATASET_TOO_LARGE": FindingKind(Severity.WARNING, "look for near duplicates in parts of it, or keep a sample"),
    "ROW_DUPLICATED": FindingKind(Severity.WARNING, "keep one of them"),
    "ROW_NEARLY_DUPLICATED": FindingKind(Severity.ADVICE, "keep one of them, unless the variety is wanted"),
    "ROWS_CONTRADICT": FindingKind(Severity.WARNING, "correct one of the outputs, or tell the inputs apart"),
    "HOLDOUT_LEAKED": FindingKind(Severity.WARNING, "remove the row from one side"),
    "TEXT_DAMAGED": FindingKind(Severity.WARNING, "export the text again as UTF-8, and decode entities of HTML"),
    "TEXT_HAS_HIDDEN_SIGNS": FindingKind(Severity.WARNING, "remove the signs that nobody sees"),
    "TEXT_NOT_NORMALISED": FindingKind(Severity.WARNING, "normalise all texts to Unicode NFC"),
    "OUTPUT_CHATTY": FindingKind(Severity.WARNING, "remove words to a person from all outputs"),
    "PERSONAL_DATA": FindingKind(
        Severity.WARNING, "remove it, or put the same placeholder for it in input and output; an adapter may repeat it"
    ),
    "FORMAT_DIFFERS": FindingKind(Severity.WARNING, "write all values of the field in one way"),
    "FIELD_FORMATS_MIXED": FindingKind(Severity.WARNING, "choose one way and write all values of the field in it"),
    "SPELLING_DIFFERS": FindingKind(Severity.WARNING, "spell the word alike in all rows"),
    "DATASET_SMALL": FindingKind(Severity.WARNING, "add rows: 500 to 1,000 do best"),
    "DATASET_MODEST": FindingKind(Severity.ADVICE, "add rows: 500 to 1,000 are what pays off"),
    "DATASET_LARGE": FindingKind(Severity.ADVICE, "keep a sample of a few thousand rows"),
    "ANSWERS_ALIKE": FindingKind(Severity.WARNING, "add rows with other outputs"),
    "TEACHER_REFUSED": FindingKind(
        Severity.ERROR, "tell the operator, who names the teachers and whom each is for; then create the dataset anew"
    ),
    "TEACHER_PROMPT_TOO_LONG": FindingKind(
        Severity.ERROR, "show fewer or shorter examples, or shorten the instruction prompt"
    ),
    "TEACHER_NOT_ASKED": FindingKind(Severity.WARNING, "mend the golden rows, and create the dataset anew"),
    "TEACHER_GAVE_NO_ANSWER": FindingKind(Severity.WARNING, "shorten the input, or label the row by hand"),
    "TEACHER_BROKE_CONTRACT": FindingKind(
        Severity.WARNING, "say more in the instruction prompt, show examples, or label the row by hand"
    ),
    "TEACHER_DISAGREES": FindingKind(
        Severity.WARNING, "tell the output more precisely in the instruction prompt, or label the row by hand"
    ),
    "SYNTHETIC_DUPLICATED": FindingKind(Severity.ADVICE, "send inputs that differ from those of other rows"),
    "SYNTHETIC_CONTRADICTS": FindingKind(
        Severity.WARNING, "see whether the golden row's output is right; the teacher's was left out"
    ),
    "SYNTHETIC_LEAKED": FindingKind(Severity.ADVICE, "send inputs that differ from those that are held out"),
    "FIELD_RARE": FindingKind(Severity.ADVICE, "add rows that show the field, or see whether it is a slip"),
    "NEVER_SEEN": FindingKind(Severity.ADVICE, "add rows that show them, or take them out of the contract"),
}
"""By reason. Of a kind that is an error, a finding that does not block is a warning."""


@dataclass(frozen=True)
class FindingFilter:
    """Which findings are wanted: those with one of the reasons, all if there are none, that are severe enough."""

    reasons: frozenset[str] = frozenset()
    least: Severity = Severity.ADVICE

    @property
    def unwanted(self) -> frozenset[str]:
        """Reasons of kinds that are not severe enough."""
        return frozenset(reason for reason, kind in FINDING_KINDS.items() if kind.severity < self.least)


ALL_FINDINGS = FindingFilter()


def kind_of(reason: str, *, blocking: bool) -> FindingKind:
    """The kind of a finding; of one that another version of the service stored at least its severity is known."""
    kind = FINDING_KINDS.get(reason, FindingKind(Severity.ERROR if blocking else Severity.WARNING, ""))
    is_milder = kind.severity is Severity.ERROR and not blocking
    return dataclasses.replace(kind, severity=Severity.WARNING) if is_milder else kind
