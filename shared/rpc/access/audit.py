"""One line in the log for every change, or try at one: who, what, and how it ended."""

from __future__ import annotations

import logging

from shared.rpc.identity import Identity

LOGGER = "goldsmith.audit"
_MAX_NAME_CHARS = 300
"""Of a resource name: the longest valid one has 218."""

_log = logging.getLogger(LOGGER)


def write_audit(
    *, method: str, identity: Identity | None, resource: str, outcome: str, job: str | None = None
) -> None:  # fmt: skip
    """Writes the line. `outcome` is the name of a gRPC status code; there is no identity when nobody was known.

    A change that no call makes, but a training job at its end, names the `job`; the line of the call that created it
    says who wanted it. Nothing of what the call carried is written but the name of its resource.
    """
    _log.info(
        "change",
        extra={
            "method": method,
            "job": job,
            "subject": identity.subject if identity else None,
            "tenant": identity.tenant if identity else None,
            "roles": sorted(identity.roles) if identity else [],
            "identity_method": identity.method.value if identity else None,
            "resource": resource[:_MAX_NAME_CHARS],
            "outcome": outcome,
        },
    )
