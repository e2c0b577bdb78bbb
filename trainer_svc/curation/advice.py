"""What could be better in a dataset that can be trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from shared.contracts.spec import ContractSpec
from trainer_svc.curation.coverage import coverage_findings
from trainer_svc.curation.field_format import format_findings
from trainer_svc.curation.personal.base import PersonalDataFinder
from trainer_svc.curation.personal.finding import personal_findings
from trainer_svc.curation.text_finding import text_findings
from trainer_svc.domain.dataset import CheckedRow, Finding


def advice(
    spec: ContractSpec, train: Sequence[CheckedRow], holdout: Sequence[CheckedRow], finder: PersonalDataFinder
) -> Iterator[Finding]:
    """Findings about rows that keep their contract; what is never learned, about those that are trained on."""
    rows = [*train, *holdout]
    return chain(
        text_findings(spec.kind, rows),
        format_findings(spec.kind, rows),
        personal_findings(spec.kind, rows, finder),
        coverage_findings(spec, train, max(row.row for row in rows)),
    )
