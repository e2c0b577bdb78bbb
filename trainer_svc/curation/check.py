"""Checks every row of a golden dataset against its contract and the others, and splits off a holdout."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from shared.contracts.spec import ContractSpec
from trainer_svc.curation.advice import advice
from trainer_svc.curation.judgement import RowRefused, finding, is_respelt, judge
from trainer_svc.curation.likeness import MAX_COMPARED_INPUTS, cluster, find_links, normal
from trainer_svc.curation.personal.base import PersonalDataFinder
from trainer_svc.curation.personal.finder import PATTERNS
from trainer_svc.curation.reader.json_lines import read_json_lines
from trainer_svc.curation.reader.row import FileFault, Row, RowFault
from trainer_svc.curation.repetition import repetition_findings
from trainer_svc.curation.split import split_by_cluster
from trainer_svc.curation.synthetic import sift, synthetic_report
from trainer_svc.curation.tally import Tally
from trainer_svc.curation.token_gauge import UNMEASURED, TokenGauge
from trainer_svc.domain.dataset import CheckedRow, Finding, InvalidRowPolicy, Report

MIN_TRAIN_ROWS = 10
"""Below it nothing can be learned or measured."""


@dataclass(frozen=True)
class Checked:
    """Outcome of a check. `is_usable` says whether training may begin."""

    train: tuple[CheckedRow, ...]
    holdout: tuple[CheckedRow, ...]
    findings: tuple[Finding, ...]
    report: Report
    is_usable: bool


@dataclass
class _Judged:
    """Rows after each was looked at by itself."""

    train: list[CheckedRow] = field(default_factory=list)
    holdout: list[CheckedRow] = field(default_factory=list)
    broken: set[int] = field(default_factory=set)
    """Rows that are held out although they are invalid."""
    dropped: dict[int, str] = field(default_factory=dict)
    """Why, by row, one that came without an output is left out."""
    respelt: set[int] = field(default_factory=set)
    """Rows whose output was spelt otherwise than canonical."""
    count: int = 0
    invalid: int = 0

    def leave_out(self, rows: AbstractSet[int]) -> None:
        """Takes rows out that keep the contract and can be neither trained on nor asked for."""
        self.invalid += len(rows - self.broken - self.dropped.keys())
        self.train = [row for row in self.train if row.row not in rows]
        self.holdout = [row for row in self.holdout if row.row not in rows]


def check_rows(
    data: bytes, spec: ContractSpec, policy: InvalidRowPolicy, seed: int = 0, *,
    gauge: TokenGauge | None = None, finder: PersonalDataFinder = PATTERNS,
) -> Checked:  # fmt: skip
    """`check` of JSON Lines."""
    return check(read_json_lines(io.BytesIO(data)), spec, policy, seed, gauge=gauge, finder=finder)


def check(
    rows: Iterable[Row | RowFault], spec: ContractSpec, policy: InvalidRowPolicy, seed: int = 0, *,
    gauge: TokenGauge | None = None, finder: PersonalDataFinder = PATTERNS,
) -> Checked:  # fmt: skip
    """Holds each output against the contract, and the rows against each other.

    Rows that name their split keep it; if none is named "holdout", about a tenth is split off by a seeded hash, and
    rows that repeat or contradict each other stay together, unless next to nothing could be held out then: findings
    name those that do not. Without a gauge rows are not measured in tokens. An upload that cannot be read to its end is
    unusable, whatever the policy.
    """
    tally, judged = Tally(), _Judged()
    try:
        _judge_all(rows, spec, policy, tally, judged)
    except FileFault as fault:
        tally.add(Finding(fault.number, fault.reason, "file", fault.message))
        report = Report(judged.count, 0, 0, judged.invalid, tally.row_counts, severity_counts=tally.severity_counts)
        return Checked((), (), tally.listed(), report, is_usable=False)
    measured = gauge.measure(judged.train, judged.holdout) if gauge is not None else UNMEASURED
    tally.extend(measured.findings)
    made = {row.row for row in judged.train if row.synthetic}
    judged.dropped |= {found.row_number: found.reason for found in measured.findings if found.row_number in made}
    judged.leave_out(measured.unusable)
    train, holdout = _compare(judged, tally, seed)
    kept = [row for row in (*train, *holdout) if row.row not in judged.broken]
    too_small = len(train) < MIN_TRAIN_ROWS or not holdout
    if too_small:
        message = f"{len(train)} rows to train on and {len(holdout)} held out, {MIN_TRAIN_ROWS} and 1 are the least"
        if made:
            message += "; rows that a teacher labelled are never held out"
        tally.add(Finding(judged.count or 1, "DATASET_TOO_SMALL", "rows", message))
    else:
        tally.extend(advice(spec, train, [row for row in holdout if row.row not in judged.broken], finder))
    report = Report(
        judged.count,
        len(train),
        len(holdout),
        judged.invalid,
        tally.row_counts,
        tally.severity_counts,
        () if too_small else tuple(finder.kinds),
        measured.lengths(train, judged.broken),
        synthetic_report(train, judged.dropped),
        distinct_output_count=len({row.output for row in kept}),
        canonicalized_count=sum(row.row in judged.respelt for row in kept),
    )
    is_usable = not too_small and (judged.invalid == 0 or policy is InvalidRowPolicy.EXCLUDE)
    return Checked(tuple(train), tuple(holdout), tally.listed(), report, is_usable)


def _judge_all(
    rows: Iterable[Row | RowFault], spec: ContractSpec, policy: InvalidRowPolicy, tally: Tally, judged: _Judged
) -> None:
    for row in rows:
        judged.count += 1
        if isinstance(row, RowFault):
            found = finding(row.number, row.reason, row.field, row.message)
            tally.add(dataclasses.replace(found, blocking=row.is_blocking, related_rows=row.related_rows))
            judged.invalid += row.is_blocking
            if not row.is_blocking:
                judged.dropped[row.number] = row.reason
            continue
        try:
            split, checked = judge(row, spec)
        except RowRefused as err:
            tally.extend(err.findings)
            judged.invalid += 1
            if err.kept and policy is InvalidRowPolicy.EXCLUDE:
                judged.holdout.append(err.kept)
                judged.broken.add(row.number)
            continue
        (judged.holdout if split == "holdout" else judged.train).append(checked)
        if is_respelt(row, checked):
            judged.respelt.add(row.number)


def _compare(judged: _Judged, tally: Tally, seed: int) -> tuple[list[CheckedRow], list[CheckedRow]]:
    """Train and holdout rows, after telling what rows have in common."""
    train, holdout = judged.train, judged.holdout
    if any(row.synthetic for row in train):
        train, holdout, findings = sift(train, holdout, seed)
        tally.extend(findings)
        judged.dropped |= {found.row_number: found.reason for found in findings}
    usable = [*train, *holdout]  # a held-out row is told what it has in common with those that are trained on
    links = find_links(usable)
    clusters = cluster(len(usable), links)
    if not holdout and not any(row.synthetic for row in train):
        train, holdout = split_by_cluster(train, clusters, seed)
    tally.extend(repetition_findings(usable, links, clusters, {row.row for row in holdout}))
    if len({normal(row.input) for row in usable}) > MAX_COMPARED_INPUTS:
        message = (
            f"has more than {MAX_COMPARED_INPUTS} different inputs: only equal ones were looked for, not near ones"
        )
        tally.add(Finding(judged.count, "DATASET_TOO_LARGE", "rows", message, blocking=False))
    return train, holdout
