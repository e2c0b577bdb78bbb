"""Golden datasets: what they are and what their check finds."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime

from shared.digest import sha256_bytes
from trainer_svc.domain.curation import Lineage
from trainer_svc.domain.finding_kind import Severity, kind_of
from trainer_svc.domain.teacher import Labelling, SyntheticReport, TeacherSettings
from trainer_svc.domain.token_length import TokenLengths

_MAX_PATH_CHARS = 500
_MAX_MESSAGE_CHARS = 1_000
MAX_RELATED_ROWS = 100
"""Of one finding: a page of a thousand findings has room for them."""
MAX_KIND_CHARS = 100
"""Of a kind of personal data."""


class DatasetState(enum.StrEnum):
    """Life of a golden dataset: importing -> validating -> active or failed."""

    IMPORTING = "importing"
    VALIDATING = "validating"
    ACTIVE = "active"
    FAILED = "failed"


UNFINISHED = (DatasetState.IMPORTING, DatasetState.VALIDATING)


class DatasetFormat(enum.StrEnum):
    """How the bytes of an upload are to be read."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


class InvalidRowPolicy(enum.StrEnum):
    """What to do with a row that does not parse or breaks its contract."""

    REFUSE = "refuse"
    EXCLUDE = "exclude"


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """A usable row, by its number in the upload, or in the source of a curated dataset.

    `output` is canonical where it satisfies the contract.
    """

    row: int
    input: str
    output: str
    synthetic: bool = False
    """Whether a teacher wrote the output; such a row is never held out."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to fix in one row; `message` says what is wrong.

    `row_number` is the line in which it begins, of Parquet its place, both from 1; of a curated dataset the source's.
    """

    row_number: int
    reason: str
    path: str
    message: str
    blocking: bool = True
    related_rows: tuple[int, ...] = ()
    """The other rows that it is about, in rising order; the first hundred where there are more: `message` says so."""

    def __post_init__(self) -> None:
        """Rows may hold halves of characters and names of any length: what is told of them must fit into an answer."""
        for name, limit in (("path", _MAX_PATH_CHARS), ("message", _MAX_MESSAGE_CHARS)):
            text: str = getattr(self, name)
            short = text if len(text) <= limit else text[: limit - 4] + " ..."
            object.__setattr__(self, name, short.encode(errors="backslashreplace").decode())
        object.__setattr__(self, "related_rows", self.related_rows[:MAX_RELATED_ROWS])

    @property
    def severity(self) -> Severity:
        """What it costs."""
        return kind_of(self.reason, blocking=self.blocking).severity

    @property
    def remedy(self) -> str:
        """What to do about it, the same for all with its reason."""
        return kind_of(self.reason, blocking=self.blocking).remedy


@dataclass(frozen=True)
class Report:
    """Counts of a check."""

    row_count: int
    train_count: int
    holdout_count: int
    invalid_count: int
    finding_counts: dict[str, int] = field(default_factory=dict)
    severity_counts: dict[str, int] = field(default_factory=dict)
    """By name of the severity, how many rows have such a finding."""
    personal_data_kinds: tuple[str, ...] = ()
    """What was looked for; empty when nothing was, as before reports told."""
    token_lengths: TokenLengths | None = None
    """None where no row could be measured, and for datasets that were sealed before lengths were."""
    synthetic: SyntheticReport | None = None
    """None where every row came with its output."""
    distinct_output_count: int = 0
    """Of rows that are kept and keep their contract; 0 where an earlier release counted none."""
    canonicalized_count: int = 0
    """Rows that are kept whose output was spelt otherwise than it is now."""


@dataclass(frozen=True)
class Dataset:
    """A golden dataset as it stands. Names are resource names as text; digests name blobs of rows."""

    name: str
    contract: str
    instruction_prompt: str
    database_sql: str
    create_time: datetime
    state: DatasetState = DatasetState.IMPORTING
    policy: InvalidRowPolicy = InvalidRowPolicy.REFUSE
    size_bytes: int = 0
    digest: str = ""
    report: Report | None = None
    train_rows: str = ""
    holdout_rows: str = ""
    format: DatasetFormat = DatasetFormat.JSONL
    lineage: Lineage | None = None
    """Of one that was made from another; None where it was uploaded."""
    teacher: TeacherSettings | None = None
    """Who labels the rows that come without an output; None where each must have one."""
    labelling: Labelling | None = None
    """Of one with synthetic rows, or of which a teacher gave answers at least; once it was checked."""
    split_seed: int = 0
    """Chooses what is held out where no row says so."""

    @property
    def content_digest(self) -> str:
        """Covers all that its rows were made from: the uploaded bytes, and a teacher's answers where there are any."""
        if self.labelling is None:
            return self.digest
        return sha256_bytes(f"{self.digest}\n{self.labelling.answers}".encode())
