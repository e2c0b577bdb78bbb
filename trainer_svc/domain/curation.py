"""What is done to a golden dataset on request: steps, what each changed, and where a dataset comes from."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class CurationStep(enum.StrEnum):
    """One thing to do with all rows."""

    DROP_DUPLICATES = "drop_duplicates"
    DROP_NEAR_DUPLICATES = "drop_near_duplicates"
    DROP_CONTRADICTIONS = "drop_contradictions"
    UNICODE_NFC = "unicode_nfc"


@dataclass(frozen=True)
class Lineage:
    """The dataset that another was made from, and how; `changes` is the digest of a blob, a change a line."""

    source: str
    source_digest: str
    steps: tuple[CurationStep, ...]
    changes: str


@dataclass(frozen=True, slots=True)
class Change:
    """What one step did to one row, by its number in the source.

    Digests are of input and output; `after` is empty for a row that was dropped.
    """

    row_number: int
    step: CurationStep
    before: str
    after: str
    message: str
