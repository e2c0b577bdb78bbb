"""Contracts, revisions and aliases as the registry keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from shared.adapter.canary import CanaryRollback, CanarySplit
from shared.adapter.manifest import PackageFile
from shared.contracts.report import CompileReport, EngineName, Guarantee, KeywordVerdict
from shared.contracts.spec import ContractSpec
from shared.names import AdapterName, AliasName
from trainer_svc.domain.evidence import Evidence
from trainer_svc.domain.measure import Measure
from trainer_svc.domain.promotion import PromotionReport

DEFAULT_ALIAS = "live"
NO_ALIAS = "-"
"""Of a job that publishes without moving an alias."""


def compared_alias(adapter: AdapterName, alias_id: str) -> AliasName:
    """The alias whose revision a job is compared with: the one that it would move, or else what serves by default."""
    return AliasName(adapter.tenant, adapter.id, alias_id if alias_id not in ("", NO_ALIAS) else DEFAULT_ALIAS)


@dataclass(frozen=True)
class Contract:
    """A registered output contract with its report. `spec` is the canonical text of its definition.

    The defaults are what held for every contract that was stored before its report had these fields.
    """

    name: str
    spec: str
    digest: str
    state_count: int
    min_output_tokens: int
    verdicts: tuple[KeywordVerdict, ...]
    create_time: datetime
    guarantee: Guarantee = Guarantee.CERTAIN
    engine: EngineName = EngineName.OUTLINES
    typical_output_tokens: int = 0
    max_output_tokens: int | None = None

    @classmethod
    def of(cls, name: str, spec: ContractSpec, report: CompileReport, create_time: datetime) -> Contract:
        """A contract as it is when it was just compiled."""
        return cls(
            name=name,
            spec=spec.canonical().decode(),
            digest=spec.digest,
            state_count=report.state_count,
            min_output_tokens=report.min_tokens,
            verdicts=report.verdicts,
            create_time=create_time,
            guarantee=report.guarantee,
            engine=report.engine,
            typical_output_tokens=report.typical_tokens,
            max_output_tokens=report.max_tokens,
        )

    @property
    def report(self) -> CompileReport:
        """What the compiler made of it."""
        return CompileReport(
            guarantee=self.guarantee,
            engine=self.engine,
            state_count=self.state_count,
            min_tokens=self.min_output_tokens,
            typical_tokens=self.typical_output_tokens,
            max_tokens=self.max_output_tokens,
            verdicts=self.verdicts,
        )


@dataclass(frozen=True)
class RevisionPreference:
    """What a closed study says of a revision that people held against another one."""

    study: str
    other_revision: str
    judged_pair_count: int
    decided_pair_count: int
    """Pairs in which one of the two was preferred."""
    rate: float
    """Share of the judged pairs in which this one was, a tie counting half."""
    decided: Measure
    """Share of the decided pairs."""
    p_value: float


@dataclass(frozen=True)
class Revision:
    """One immutable state of an adapter; files name blobs by digest, the manifest first."""

    name: str
    digest: str
    files: tuple[PackageFile, ...]
    training_job: str
    contract: str
    base_model_digest: str
    create_time: datetime
    metrics: dict[str, float] = field(default_factory=dict)
    evaluated_rows_digest: str = ""
    """Of the blob with the held-out rows and the answers to them; empty where it was published without."""
    evidence: Evidence | None = None
    """None: it was published without an evaluation."""
    report: PromotionReport | None = None
    """Of the day it was published."""
    preferences: tuple[RevisionPreference, ...] = ()
    """What people said of it later, in the order in which studies were closed."""


@dataclass(frozen=True)
class Alias:
    """A movable name for a revision; `version` grows with each change and is its etag."""

    name: str
    revision: str
    version: int
    update_time: datetime
    canary: CanarySplit | None = None
    last_rollback: CanaryRollback | None = None


@dataclass(frozen=True)
class AliasChange:
    """One move of an alias; cursors count from 1 without gaps."""

    cursor: int
    alias: Alias
