"""Contracts, revisions and aliases as the registry keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from shared.adapter.manifest import PackageFile
from shared.contracts.report import KeywordVerdict


@dataclass(frozen=True)
class Contract:
    """A registered output contract. `spec` is the canonical text of its definition."""

    name: str
    spec: str
    digest: str
    state_count: int
    min_output_tokens: int
    verdicts: tuple[KeywordVerdict, ...]
    create_time: datetime


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


@dataclass(frozen=True)
class Alias:
    """A movable name for a revision; `version` grows with each move and is its etag."""

    name: str
    revision: str
    version: int
    update_time: datetime


@dataclass(frozen=True)
class AliasChange:
    """One move of an alias; cursors count from 1 without gaps."""

    cursor: int
    alias: Alias
