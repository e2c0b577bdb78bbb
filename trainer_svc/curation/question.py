"""What a teacher is asked about an upload: which rows, and in what words."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from shared.contracts.spec import ContractKind, ContractSpec
from trainer_svc.curation.judgement import RowRefused, check_input_size, check_question, judge
from trainer_svc.curation.likeness import normal
from trainer_svc.curation.reader.row import FileFault, Row, RowFault
from trainer_svc.domain.dataset import CheckedRow, DatasetFormat, InvalidRowPolicy
from trainer_svc.domain.teacher import TeacherSettings

_FORM = "Answer with the output alone: no explanation, no greeting, no Markdown."


@dataclass(frozen=True)
class Question:
    """What is said for one row. The first two are the same for all rows of a dataset."""

    instructions: str
    examples: tuple[tuple[str, str], ...]
    """Inputs with their outputs."""
    input: str
    contract: str
    """Resource name of the dataset's contract."""
    json_schema: str
    """Of a JSON contract; empty for other kinds."""

    @property
    def preface_bytes(self) -> int:
        """Of what is the same for all rows: instructions and examples."""
        said = (self.instructions, *(text for pair in self.examples for text in pair))
        return sum(len(text.encode(errors="replace")) for text in said)


@dataclass
class Unlabelled:
    """The rows of an upload that have no output: what to ask, and why others are not asked about."""

    questions: dict[int, str] = field(default_factory=dict)
    """Inputs by row number."""
    dropped: dict[int, RowFault] = field(default_factory=dict)
    refusal: str = ""
    """Why nothing should be asked, since the dataset fails whatever the answers are; empty if it need not."""


def has_output(row: Row, format_: DatasetFormat) -> bool:
    """Whether a row came with an output. CSV has no other way to leave a cell out than to leave it empty."""
    return "output" in row.fields and not (format_ is DatasetFormat.CSV and row.fields["output"] == "")


def find_unlabelled(
    rows: Iterable[Row | RowFault], format_: DatasetFormat, spec: ContractSpec, policy: InvalidRowPolicy
) -> Unlabelled:
    """Rows to ask about. An input that stands in an earlier row, or in a golden one, is not asked about: it is no news.

    Nothing is asked where the golden rows alone make the dataset fail, since each answer is paid for.
    """
    found, golden, later = Unlabelled(), _Golden(), list[Row]()
    try:
        for row in rows:
            if isinstance(row, Row) and not has_output(row, format_):
                later.append(row)
            else:
                golden.add(row, spec)
    except FileFault as fault:
        found.refusal = fault.message
        return found
    firsts = dict(golden.firsts)
    for row in later:
        try:
            text = _input(row)
        except RowRefused:
            golden.invalid += 1  # and the check says what is wrong with it
            continue
        first = firsts.setdefault(normal(text), row.number)
        if first == row.number:
            found.questions[row.number] = text
        else:
            message = f"has the same input as row {first}: the teacher was not asked again"
            found.dropped[row.number] = RowFault(
                row.number, "SYNTHETIC_DUPLICATED", "input", message, is_blocking=False, related_rows=(first,)
            )
    found.refusal = golden.refusal(policy)
    return found


def _input(row: Row) -> str:
    split, text = check_question(row)
    if split == "holdout":
        raise RowRefused
    check_input_size(row.number, text)
    return text


@dataclass
class _Golden:
    """Rows that came with an output."""

    firsts: dict[str, int] = field(default_factory=dict)
    """The first row of each input."""
    invalid: int = 0
    is_held_out: bool = False

    def add(self, row: Row | RowFault, spec: ContractSpec) -> None:
        if isinstance(row, RowFault):
            self.invalid += 1
            return
        try:
            split, checked = judge(row, spec)
        except RowRefused as err:
            self.invalid += 1
            self.is_held_out |= err.kept is not None
            return
        self.firsts.setdefault(normal(checked.input), checked.row)
        self.is_held_out |= split == "holdout"

    def refusal(self, policy: InvalidRowPolicy) -> str:
        if self.invalid and policy is InvalidRowPolicy.REFUSE:
            return f"{self.invalid} other rows are invalid, and invalid rows are refused"
        if not self.is_held_out and len(self.firsts) < 2:
            return "no golden row can be held out: two with different inputs are the least, or one that is held out"
        return ""


def instructions_of(spec: ContractSpec, instruction_prompt: str) -> str:
    """What is said before all questions: the owner's own prompt, the form of an answer, and the contract."""
    return "\n\n".join(part for part in (instruction_prompt.strip(), _FORM, _statement(spec)) if part)


def choose_examples(rows: Sequence[CheckedRow], settings: TeacherSettings) -> tuple[tuple[str, str], ...]:
    """Golden rows to show, by the seed; the same ones with every question, so that a prefix cache serves them."""
    golden = [row for row in rows if not row.synthetic]
    chosen = random.Random(settings.seed).sample(golden, min(settings.example_count, len(golden)))
    return tuple((row.input, row.output) for row in chosen)


def _statement(spec: ContractSpec) -> str:
    if spec.kind is ContractKind.JSON:
        return f"The output is one JSON value that satisfies this JSON Schema:\n{spec.json_schema}"
    if spec.kind is ContractKind.SQL:
        return f"The output is one SELECT statement in the SQL dialect {spec.dialect} over these tables:\n{spec.ddl}"
    if spec.kind is ContractKind.CHOICE:
        return "The output is one of these texts, as it is written here:\n" + "\n".join(spec.choices)
    if spec.kind is ContractKind.REGEX:
        return f"The whole output matches this regular expression:\n{spec.pattern}"
    return f"The output is text of at most {spec.max_chars} characters." if spec.max_chars else ""
