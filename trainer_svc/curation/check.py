"""Checks every row of a golden dataset against its contract and the others, and splits off a holdout."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from shared.contracts.check import canonicalise, refusal_hint
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import InvalidInput
from trainer_svc.curation.advice import advice
from trainer_svc.curation.likeness import MAX_COMPARED_INPUTS, cluster, find_links, normal
from trainer_svc.curation.personal.base import PersonalDataFinder
from trainer_svc.curation.personal.finder import PATTERNS
from trainer_svc.curation.repetition import repetition_findings
from trainer_svc.curation.split import split_by_cluster
from trainer_svc.domain.dataset import CheckedRow, Finding, InvalidRowPolicy, Report

MAX_INPUT_BYTES = 32 << 10
MAX_OUTPUT_BYTES = 16 << 10
MIN_TRAIN_ROWS = 10
"""Below it nothing can be learned or measured."""
_SPLITS = ("train", "holdout")


@dataclass(frozen=True)
class Checked:
    """Outcome of a check. `is_usable` says whether training may begin."""

    train: tuple[CheckedRow, ...]
    holdout: tuple[CheckedRow, ...]
    findings: tuple[Finding, ...]
    report: Report
    is_usable: bool


class _RowError(Exception):
    def __init__(self, *findings: Finding) -> None:
        super().__init__(findings)
        self.findings = findings


def check_rows(
    data: bytes,
    spec: ContractSpec,
    policy: InvalidRowPolicy,
    seed: int = 0,
    *,
    finder: PersonalDataFinder = PATTERNS,
) -> Checked:
    """Reads JSON Lines and holds each output against the contract.

    Rows that name their split keep it; if none is named "holdout", about a tenth is split off by a seeded hash, and
    rows that repeat or contradict each other stay together, unless next to nothing could be held out then: findings
    name those that do not.
    """
    rows: dict[str, list[CheckedRow]] = {split: [] for split in _SPLITS}
    findings: list[Finding] = []
    broken: set[int] = set()
    """Rows that are held out although they are invalid."""
    invalid = count = 0
    for number, line in _lines(data):
        count += 1
        try:
            split, row = _row(number, line, spec)
        except _RowError as err:
            findings.extend(err.findings)
            invalid += 1
            kept = _raw_holdout(number, line) if policy is InvalidRowPolicy.EXCLUDE else None
            if kept:
                rows["holdout"].append(kept)
                broken.add(number)
            continue
        rows[split].append(row)
    train, holdout = rows["train"], rows["holdout"]
    usable = [*train, *holdout]  # a held-out row is told what it has in common with those that are trained on
    links = find_links(usable)
    clusters = cluster(len(usable), links)
    if not holdout:
        train, holdout = split_by_cluster(train, clusters, seed)
    findings.extend(repetition_findings(usable, links, clusters, {row.row for row in holdout}))
    if len({normal(row.input) for row in usable}) > MAX_COMPARED_INPUTS:
        message = (
            f"has more than {MAX_COMPARED_INPUTS} different inputs: only equal ones were looked for, not near ones"
        )
        findings.append(Finding(count, "DATASET_TOO_LARGE", "rows", message, blocking=False))
    too_small = len(train) < MIN_TRAIN_ROWS or not holdout
    if too_small:
        message = f"{len(train)} rows to train on and {len(holdout)} held out, {MIN_TRAIN_ROWS} and 1 are the least"
        findings.append(Finding(count or 1, "DATASET_TOO_SMALL", "rows", message))
    else:
        findings.extend(advice(spec, train, [row for row in holdout if row.row not in broken], finder))
    findings.sort(key=lambda finding: finding.row_number)
    kinds = _rows_by((finding.row_number, finding.reason) for finding in findings)
    severities = _rows_by((finding.row_number, finding.severity.name) for finding in findings)
    report = Report(count, len(train), len(holdout), invalid, kinds, severities, tuple(finder.kinds))
    is_usable = not too_small and (invalid == 0 or policy is InvalidRowPolicy.EXCLUDE)
    return Checked(tuple(train), tuple(holdout), tuple(findings), report, is_usable)


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            yield number, line


def _rows_by(labels: Iterable[tuple[int, str]]) -> dict[str, int]:
    """How many rows have each label."""
    return dict(Counter(label for _, label in set(labels)))


def _row(number: int, line: bytes, spec: ContractSpec) -> tuple[str, CheckedRow]:
    body = _parse(number, line)
    output = body["output"]
    if not isinstance(output, str):
        if spec.kind is not ContractKind.JSON:
            raise _RowError(
                _finding(number, "ROW_INVALID", "output", f"must be text: the contract is of kind {spec.kind}")
            )
        output = json.dumps(output, ensure_ascii=False)
    for field, text, limit in (("input", body["input"], MAX_INPUT_BYTES), ("output", output, MAX_OUTPUT_BYTES)):
        size = len(text.encode(errors="surrogatepass"))
        if size > limit:
            raise _RowError(_finding(number, "ROW_INVALID", field, f"has {size} bytes, the limit is {limit}"))
    try:
        return body.get("split", "train"), CheckedRow(number, body["input"], canonicalise(spec, output))
    except InvalidInput as err:
        hint = refusal_hint(spec, output, err)
        violations = [(v.path, v.description) for v in err.violations] or [("", err.message)]
        violations = [(path, f"{text} ({hint})" if hint else text) for path, text in violations]
        raise _RowError(
            *(_finding(number, "CONTRACT_VIOLATED", _path(path), text) for path, text in violations)
        ) from err


def _path(path: str) -> str:
    """Violations point into the output, with or without saying so."""
    return path if path.startswith("output") else "output" + (path if path.startswith("#") or not path else f"#{path}")


def _parse(number: int, line: bytes) -> dict[str, Any]:  # Any: other people's JSON, checked here
    try:
        body = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as err:
        raise _RowError(_finding(number, "ROW_NOT_JSON", "", f"is not JSON in UTF-8: {err}")) from err
    if not isinstance(body, dict):
        raise _RowError(_finding(number, "ROW_NOT_JSON", "", "must be a JSON object"))
    unknown = sorted(set(body) - {"input", "output", "split"})
    if unknown:
        raise _RowError(_finding(number, "ROW_INVALID", unknown[0], "is not a field of a row: input, output, split"))
    if not isinstance(body.get("input"), str) or not body["input"].strip():
        raise _RowError(_finding(number, "ROW_INVALID", "input", "must be non-empty text"))
    if "output" not in body:
        raise _RowError(_finding(number, "ROW_INVALID", "output", "is missing"))
    if body.get("split", "train") not in _SPLITS:
        raise _RowError(_finding(number, "ROW_INVALID", "split", f"must be one of {_SPLITS}"))
    return body


def _raw_holdout(number: int, line: bytes) -> CheckedRow | None:
    """A held-out row outside the contract: kept as it is, so that it counts as a miss."""
    try:
        body = _parse(number, line)
    except _RowError:
        return None
    if body.get("split") != "holdout":
        return None
    output = body["output"]
    return CheckedRow(number, body["input"], output if isinstance(output, str) else json.dumps(output))


def _finding(number: int, reason: str, field: str, message: str) -> Finding:
    return Finding(number, reason, f"rows[{number}]" + (f".{field}" if field else ""), message)
