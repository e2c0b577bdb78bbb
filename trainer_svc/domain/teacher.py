"""Rows labelled by a teacher: what a tenant asks for, which rows came of it, and where they come from."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.names import invalid_field

MAX_SAMPLES = 8
"""Of one row: each is paid for, and of more than a few the majority hardly changes."""
MAX_EXAMPLES = 32
_INT64 = 1 << 63


class TeacherKind(enum.StrEnum):
    """How a teacher is spoken to."""

    OPENAI = "openai"
    GOLDSMITH = "goldsmith"


@dataclass(frozen=True)
class TeacherSettings:
    """What a tenant asks of a teacher, by the name that the operator gave it.

    `examples` is a dataset whose golden train rows are shown with each question; empty for none.
    """

    teacher: str
    examples: str = ""
    example_count: int = 4
    sample_count: int = 3
    min_agreement: float = 0.6
    """Share of the answers to a row that must be equal, 0 (not itself) to 1."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses (`InvalidInput`) what cannot be done."""
        for name, value, least, most in (
            ("example_count", self.example_count, 1, MAX_EXAMPLES),
            ("sample_count", self.sample_count, 1, MAX_SAMPLES),
            ("seed", self.seed, 0, _INT64 - 1 - MAX_SAMPLES),
        ):
            if not least <= value <= most:
                raise invalid_field(f"dataset.teacher.{name}", f"must be {least} to {most}, got {value}")
        if not (math.isfinite(self.min_agreement) and 0 < self.min_agreement <= 1):
            message = f"must be above 0 and at most 1, got {self.min_agreement}"
            raise invalid_field("dataset.teacher.min_agreement", message)


@dataclass(frozen=True)
class Labelling:
    """Where the outputs of a dataset's synthetic rows come from."""

    settings: TeacherSettings
    kind: TeacherKind
    models: tuple[str, ...]
    """Those that answered, as the operator names them; more than one where that was changed in between."""
    instructions_digest: str
    """Of what was said before each question: instruction prompt, contract and examples."""
    answers: str
    """Digest of a blob with every answer that came, those not used too, a JSON object a line."""
    answer_count: int


@dataclass(frozen=True)
class SyntheticReport:
    """What became of the rows that came without an output."""

    unlabelled_count: int
    kept_count: int
    """Trained on; none is ever held out."""
    dropped_counts: Mapping[str, int] = field(default_factory=dict)
    """By reason of the finding: how many rows were left out for it; each for one."""
