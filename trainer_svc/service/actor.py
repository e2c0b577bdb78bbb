"""Who the audit record says it was."""

from __future__ import annotations

from shared.rpc.identity import current_identity
from trainer_svc.domain.promotion_record import Actor


def caller() -> Actor:
    """The caller of the RPC that runs now."""
    identity = current_identity()
    return Actor(identity.subject, tuple(sorted(str(role) for role in identity.roles)))
