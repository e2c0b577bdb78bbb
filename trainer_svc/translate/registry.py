"""Revisions and aliases."""

from __future__ import annotations

from goldsmith.registry.v1 import adapter_pb2 as pb
from shared.rpc.canary_message import rollback_message, split_message
from trainer_svc.domain.registry import Alias, Revision, RevisionPreference
from trainer_svc.translate.time import timestamp


def revision(stored: Revision) -> pb.AdapterRevision:
    """A published revision."""
    return pb.AdapterRevision(
        name=stored.name,
        digest=stored.digest,
        files=[pb.PackageFile(filename=f.filename, size_bytes=f.size_bytes, digest=f.digest) for f in stored.files],
        training_job=stored.training_job,
        contract=stored.contract,
        metrics=stored.metrics,
        base_model_digest=stored.base_model_digest,
        create_time=timestamp(stored.create_time),
        preferences=map(_preference, stored.preferences),
    )


def _preference(told: RevisionPreference) -> pb.RevisionPreference:
    return pb.RevisionPreference(
        study=told.study,
        other_revision=told.other_revision,
        judged_pair_count=told.judged_pair_count,
        decided_pair_count=told.decided_pair_count,
        preference_rate=told.rate,
        decided_rate=told.decided.value,
        decided_rate_low=told.decided.low,
        decided_rate_high=told.decided.high,
        p_value=told.p_value,
    )


def alias(stored: Alias) -> pb.AdapterAlias:
    """An alias as it stands."""
    return pb.AdapterAlias(
        name=stored.name,
        revision=stored.revision,
        etag=str(stored.version),
        update_time=timestamp(stored.update_time),
        canary=split_message(stored.canary) if stored.canary else None,
        last_rollback=rollback_message(stored.last_rollback) if stored.last_rollback else None,
    )
