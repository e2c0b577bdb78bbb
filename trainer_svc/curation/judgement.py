"""Whether one row, as it was read, can be used: its fields, their sizes, and the contract."""

from __future__ import annotations

import json

from shared.contracts.check import canonicalise, refusal_hint
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import InvalidInput
from trainer_svc.curation.reader.row import Row
from trainer_svc.domain.dataset import CheckedRow, Finding

MAX_INPUT_BYTES = 32 << 10
MAX_OUTPUT_BYTES = 16 << 10
_LIMITS = {"input": MAX_INPUT_BYTES, "output": MAX_OUTPUT_BYTES}
SPLITS = ("train", "holdout")


class RowRefused(Exception):
    """The row cannot be used. `kept` is a held-out one that counts as a miss, where that can be had."""

    def __init__(self, *findings: Finding, kept: CheckedRow | None = None) -> None:
        super().__init__(findings)
        self.findings, self.kept = findings, kept


def judge(row: Row, spec: ContractSpec) -> tuple[str, CheckedRow]:
    """The row's split and the row with a canonical output. Raises `RowRefused`."""
    number, fields = row.number, row.fields
    split, text = check_question(row)
    if "output" not in fields:
        raise RowRefused(finding(number, "ROW_INVALID", "output", "is missing"))
    output = fields["output"]
    if isinstance(output, str):
        written = output
    elif spec.kind is ContractKind.JSON:
        written = _written(number, output)
    else:
        message = f"must be text: the contract is of kind {spec.kind}"
        raise RowRefused(finding(number, "ROW_INVALID", "output", message))
    kept = CheckedRow(number, text, written) if split == "holdout" else None
    _check_size(number, "input", text, kept)
    _check_size(number, "output", written, kept)
    try:
        return split, CheckedRow(number, text, _canonical(number, spec, written), row.is_synthetic)
    except InvalidInput as err:
        raise RowRefused(*_violations(number, spec, written, err), kept=kept) from err


def is_respelt(row: Row, checked: CheckedRow) -> bool:
    """Whether the output that `judge` made is another text than the row's.

    Of a JSON value, whose spaces and escapes the reader did not keep, another order or another way to write a value is.
    """
    output = row.fields["output"]
    written = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False, separators=(",", ":"))
    return written != checked.output


def finding(number: int, reason: str, field: str, message: str) -> Finding:
    """A finding that makes its row useless."""
    return Finding(number, reason, f"rows[{number}]" + (f".{field}" if field else ""), message)


def check_question(row: Row) -> tuple[str, str]:
    """Split and input of a row, whether or not it has an output. Raises `RowRefused`."""
    number, fields = row.number, row.fields
    unknown = sorted(set(fields) - {"input", "output", "split"})
    if unknown:
        message = "is not a field of a row: input, output, split"
        raise RowRefused(finding(number, "ROW_INVALID", unknown[0], message))
    text, split = fields.get("input"), fields.get("split", "train")
    if not isinstance(text, str) or not text.strip():
        raise RowRefused(finding(number, "ROW_INVALID", "input", "must be non-empty text"))
    if not isinstance(split, str) or split not in SPLITS:
        raise RowRefused(finding(number, "ROW_INVALID", "split", f"must be one of {SPLITS}"))
    return split, text


def _written(number: int, output: object) -> str:
    try:
        return json.dumps(output, ensure_ascii=False)
    except RecursionError as err:
        raise RowRefused(_too_deep(number)) from err


def _canonical(number: int, spec: ContractSpec, output: str) -> str:
    try:
        return canonicalise(spec, output)
    except RecursionError as err:
        raise RowRefused(_too_deep(number)) from err


def _too_deep(number: int) -> Finding:
    return finding(number, "ROW_INVALID", "output", "is nested too deeply to be read")


def check_input_size(number: int, text: str) -> None:
    """Raises `RowRefused` for an input that no row may have."""
    _check_size(number, "input", text, None)


def _check_size(number: int, field: str, text: str, kept: CheckedRow | None) -> None:
    size, limit = _size(number, field, text), _LIMITS[field]
    if size > limit:
        message = f"has {size} bytes, the limit is {limit}"
        raise RowRefused(finding(number, "ROW_INVALID", field, message), kept=kept)


def _size(number: int, field: str, text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as err:
        message = f"holds half a character, U+{ord(text[err.start]):04X} at {err.start + 1}: no tokenizer can read it"
        raise RowRefused(finding(number, "ROW_INVALID", field, message)) from err


def _violations(number: int, spec: ContractSpec, output: str, err: InvalidInput) -> list[Finding]:
    hint = refusal_hint(spec, output, err)
    violations = [(v.path, v.description) for v in err.violations] or [("", err.message)]
    return [
        finding(number, "CONTRACT_VIOLATED", _path(path), f"{text} ({hint})" if hint else text)
        for path, text in violations
    ]


def _path(path: str) -> str:
    """Violations point into the output, with or without saying so."""
    return path if path.startswith("output") else "output" + (path if path.startswith("#") or not path else f"#{path}")
