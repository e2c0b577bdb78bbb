"""Decides one call: the role first, then every resource name in the request. Nothing is looked up on the way.

A name outside the caller's tenant is answered as one of a resource that does not exist, whether it does or not; the
answer depends on the request alone, and so tells nothing, not even by the time it takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from shared.errors import AccessDenied
from shared.names import absent, invalid_field
from shared.rpc.access.rule import Rule
from shared.rpc.identity import Identity

CONTENT_FIELDS = frozenset(
    {
        "goldsmith.inference.v1.Prompt.input",
        "goldsmith.inference.v1.Prompt.instructions",
        "goldsmith.trainer.v1.GoldenDataset.instruction_prompt",
        "goldsmith.trainer.v1.GoldenDataset.database_sql",
        "goldsmith.trainer.v1.PreferenceVerdict.comment",
        "goldsmith.registry.v1.PromoteRevisionRequest.reason",
        "goldsmith.registry.v1.RollBackAliasRequest.reason",
        "goldsmith.contract.v1.JsonContract.schema",
        "goldsmith.contract.v1.SqlContract.ddl",
        "goldsmith.contract.v1.SqlValueList.table",
        "goldsmith.contract.v1.SqlValueList.column",
        "goldsmith.contract.v1.SqlValueList.values",
        "goldsmith.contract.v1.SqlJoinEdge.table",
        "goldsmith.contract.v1.SqlJoinEdge.column",
        "goldsmith.contract.v1.SqlJoinEdge.other_table",
        "goldsmith.contract.v1.SqlJoinEdge.other_column",
        "goldsmith.contract.v1.ChoiceContract.choices",
        "goldsmith.contract.v1.RegexContract.pattern",
        "goldsmith.contract.v1.KeywordVerdict.pointer",
        "goldsmith.contract.v1.KeywordVerdict.note",
    }
)
"""Text that is a tenant's own and may look like anything. Every other text of a request is held to be a name when it
looks like one: a field that is added to the contracts is guarded before anyone thinks of it."""

_MARK = "tenants/"


def authorise(rule: Rule, identity: Identity, request: Message | None) -> None:
    """Lets the call pass, or says why not. `request` is None for a stream of requests.

    Raises:
        AccessDenied: ROLE_MISSING; also for a stream of requests about what a tenant owns, which nobody could look at
            in time.
        NotFound: RESOURCE_NOT_FOUND for a name outside the caller's tenant.
        InvalidInput: FIELD_INVALID where a required name is empty or no name at all.
    """
    roles = rule.roles_for(request)
    if roles is not None and not identity.roles & roles:
        with_field = f" with {rule.spends[0]}" if rule.spends and rule.is_spending(request) else ""
        raise AccessDenied(
            "ROLE_MISSING",
            f"this call{with_field} is for {_listed(roles)}; the caller is {_listed(identity.roles)}",
            metadata={"roles": ",".join(sorted(roles))},
        )
    if request is None and rule.resource:
        raise AccessDenied("ROLE_MISSING", "this call is not open to anyone")
    if identity.tenant is None or request is None:
        return
    own = f"{_MARK}{identity.tenant}"
    for _, name in names_in(request):
        if name != own and not name.startswith(f"{own}/"):
            raise absent(name)
    named = [(path, name) for path, name in rule.names(request) if name]
    for path, name in named:
        if _MARK not in name:
            raise invalid_field(path, f"must begin with {own}, got {name[:120]!r}")
    if rule.resource and not named:
        raise invalid_field(rule.resource[0], f"is required: {own}, or a name below it")


def names_in(message: Message, path: str = "") -> Iterator[tuple[str, str]]:
    """Path and text of everything in a message that looks like a resource name, at every depth."""
    for field, value in message.ListFields():
        inside = f"{path}.{field.name}" if path else field.name
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            items = [part for pair in value.items() for part in pair]
        else:
            items = list(value) if field.is_repeated else [value]
        for item in items:
            if isinstance(item, Message):
                yield from names_in(item, inside)
            elif isinstance(item, str) and _MARK in item and not _is_content(field):
                yield inside, item


def _is_content(field: FieldDescriptor) -> bool:
    return field.full_name in CONTENT_FIELDS


def _listed(roles: Iterable[str]) -> str:
    return " or ".join(sorted(roles))
