"""What a row of the access table says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

from google.protobuf.message import Message

from shared.rpc.identity import Role

ANYONE: frozenset[Role] | None = None
"""In place of roles: even who shows no credential."""


@dataclass(frozen=True)
class Rule:
    """Who may call one RPC, and on what."""

    roles: frozenset[Role] | None
    """Any one of these is enough; `ANYONE` asks for no credential."""
    resource: tuple[str, ...] = ()
    """Paths of the fields (`alias.name`) of which one or more must name a resource or parent in the caller's tenant. An
    RPC without any is about nothing that a tenant owns, or is for roles that stand above tenants."""
    changes: bool = False
    """Whether a call may leave something different behind; such calls are audited."""
    is_routine: bool = False
    """Whether calls change so much, and so little each, that only those that fail are audited."""
    creates: tuple[str, str] | None = None
    """Collection and field of the id, where the call names a new resource by its parent and id."""
    follows: bool = False
    """Whether the answer is a stream without an end of its own: it ends with the caller's credential."""
    spends: tuple[str, frozenset[Role]] | None = None
    """A yes or no of the request that makes the call take the machine for itself: then it is for these roles, and is
    audited."""

    def roles_for(self, request: Message | None) -> frozenset[Role] | None:
        """Who may send this request."""
        return self.spends[1] if self.spends and self.is_spending(request) else self.roles

    def is_spending(self, request: Message | None) -> bool:
        """Whether it has the field of `spends` set."""
        return self.spends is not None and request is not None and bool(getattr(request, self.spends[0]))

    def is_audited(self, request: Message, *, has_failed: bool) -> bool:
        """Whether a line is written of it."""
        return (self.changes and (has_failed or not self.is_routine)) or self.is_spending(request)

    def names(self, request: Message) -> Iterator[tuple[str, str]]:
        """Path and value of each resource field."""
        for path in self.resource:
            yield path, str(reduce(getattr, path.split("."), request))

    def subject(self, request: Message) -> str:
        """The resource that a call is about, as its caller wrote it; the new one's name for a creation."""
        name = " ".join(value for _, value in self.names(request) if value)
        if self.creates is None:
            return name
        collection, field = self.creates
        return f"{name}/{collection}/{getattr(request, field)}"
