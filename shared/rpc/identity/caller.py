"""A caller as the services know it, whatever proved it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.names import is_id


class Role(StrEnum):
    """What a caller is there for; `shared.rpc.access.table` says what each may call."""

    USER = "user"
    """Of a tenant: asks its adapters and reads its resources."""
    ADMIN = "admin"
    """Of a tenant: changes its resources too."""
    OPERATOR = "operator"
    """Of the installation: everything, in every tenant."""
    SERVICE = "service"
    """The inference service, which reads the registry of every tenant and changes nothing."""


TENANT_ROLES = frozenset({Role.USER, Role.ADMIN})
"""Roles inside one tenant; the others stand above all tenants."""


class IdentityMethod(StrEnum):
    """What proved an identity."""

    TOKEN = "token"  # noqa: S105  # the name of a method
    CERTIFICATE = "certificate"
    LOOPBACK = "loopback"
    """Nothing but the machine: every caller of a port that is open in plaintext on loopback."""


@dataclass(frozen=True)
class Identity:
    """One caller. Refuses (`ValueError`) a tenant role without a tenant, a role above tenants with one, and no role."""

    subject: str
    """Who, in the words of whoever issued the credential; for the audit log."""
    tenant: str | None
    """Id of the caller's tenant; None stands above tenants."""
    roles: frozenset[Role]
    method: IdentityMethod
    expire_time: datetime | None = None
    """When the credential ends, leeway included; None: never."""

    def __post_init__(self) -> None:
        if not self.subject:
            raise ValueError("it names no subject")
        if not self.roles:
            raise ValueError(f"it has none of the roles {', '.join(Role)}")
        if self.tenant is None and self.roles & TENANT_ROLES:
            raise ValueError("the roles user and admin belong to a tenant, and it names none")
        if self.tenant is not None and self.roles - TENANT_ROLES:
            raise ValueError("the roles operator and service stand above tenants, and it names one")
        if self.tenant is not None and not is_id(self.tenant):
            raise ValueError(f"{self.tenant[:80]!r} is not the id of a tenant")

    def is_expired(self, now: datetime) -> bool:
        """Whether the credential has ended."""
        return self.expire_time is not None and now >= self.expire_time


_current: ContextVar[Identity] = ContextVar("goldsmith_identity")


def current_identity() -> Identity:
    """The caller of the RPC that runs now; raises `LookupError` outside of one, and in RPCs that are open to anyone."""
    return _current.get()


def act_for(identity: Identity) -> None:
    """Makes `identity` the caller for the rest of this RPC, which runs in a context of its own.

    It is not taken back: a stream that its caller leaves is closed by the garbage collector, in another context.
    """
    _current.set(identity)
