"""What could be better in a dataset that can be trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from shared.contracts.spec import ContractSpec
from trainer_svc.curation.coverage import coverage_findings
from trainer_svc.curation.field_format import format_findings
from trainer_svc.curation.personal.base import PersonalDataFinder
from trainer_svc.curation.personal.finding import personal_findings
from trainer_svc.curation.text_finding import text_findings
from trainer_svc.domain.dataset import CheckedRow, Finding

_MAX_FINDINGS = 1_000
"""Of one reason: an upload of 64 MiB may have millions, which nobody reads."""


def advice(
    spec: ContractSpec, train: Sequence[CheckedRow], holdout: Sequence[CheckedRow], finder: PersonalDataFinder
) -> Iterator[Finding]:
    """Findings about rows that keep their contract; what is never learned, about those that are trained on."""
    rows = [*train, *holdout]
    found = chain(
        text_findings(spec.kind, rows), format_findings(spec.kind, rows), personal_findings(spec.kind, rows, finder)
    )
    return chain(_first(found), coverage_findings(spec, train, max(row.row for row in rows)))


def _first(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Of each reason; the last of them says how many there are."""
    counts: Counter[str] = Counter()
    for finding in findings:
        counts[finding.reason] += 1
        if counts[finding.reason] <= _MAX_FINDINGS:
            yield finding
    for reason, count in counts.items():
        if count > _MAX_FINDINGS:
            message = f"{count} findings of this kind in all, of which the first {_MAX_FINDINGS} are listed"
            yield Finding(1, reason, "rows", message, blocking=False)
