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
    REPLACE_PERSONAL_DATA = "replace_personal_data"
    MERGE_BY_MAJORITY = "merge_by_majority"
    DROP_LONG_ROWS = "drop_long_rows"


@dataclass(frozen=True)
class Lineage:
    """The dataset that another was made from, and how; `changes` is the digest of a blob, a change a line."""

    source: str
    source_digest: str
    """Of its content: the upload's bytes, and a teacher's answers where there are any."""
    steps: tuple[CurationStep, ...]
    changes: str
    max_row_tokens: int | None = None
    """Of `DROP_LONG_ROWS`; None without that step."""
    pseudonyms: str = ""
    """Digest of a blob: those of this curation and of all before it; empty if none was given."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one step did to one row, by its number in the source.

    Digests are of input and output; `after` is empty for a row that was dropped. `before` is empty where personal data
    was replaced: whoever has the row as it is now could try all telephone numbers against it.
    """

    row_number: int
    step: CurationStep
    before: str
    after: str
    message: str


MAX_TOLD_BYTES = 8 << 10
"""Of input and output together: a page of a hundred changes stays below gRPC's 4 MiB."""


@dataclass(frozen=True, slots=True)
class RowText:
    """A row's own text as it can be told. Over `MAX_TOLD_BYTES` both texts are empty, and their size is told."""

    input: str
    output: str
    left_out_bytes: int = 0

    @classmethod
    def of(cls, input_: str, output: str) -> RowText:
        """Halves of characters, which rows may hold, are written out."""
        told = [text.encode(errors="backslashreplace") for text in (input_, output)]
        size = sum(map(len, told))
        return cls("", "", size) if size > MAX_TOLD_BYTES else cls(told[0].decode(), told[1].decode())


@dataclass(frozen=True, slots=True)
class ToldChange:
    """A change, with the row before and after it where that was asked for and can be told."""

    change: Change
    before: RowText | None = None
    after: RowText | None = None
