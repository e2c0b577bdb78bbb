"""Requests of every RPC: a tenant's caller reads and changes nothing of another tenant, whatever the message says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import atheris
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from inference_svc import translate
from shared.errors import DomainError
from shared.rpc.access import check
from shared.rpc.access.check import CONTENT_FIELDS, authorise
from shared.rpc.access.table import RULES
from shared.rpc.identity import Identity, IdentityMethod, Role
from shared.rpc.status import to_status
from shared.rpc.unknown_field import refuse_unknown_fields
from tests.access.rpcs import Rpc, all_rpcs
from tests.access.sample import sample
from tests.fuzz.decision import decisions
from tests.fuzz.name import read, text_of
from tests.fuzz.room import MARKS, Room, open_room

_CALLERS = [Identity("ada", "acme", frozenset({role}), IdentityMethod.TOKEN) for role in (Role.ADMIN, Role.USER)]
_OTHER = "globex"
_MAX_MESSAGE_DEPTH = 4


def make() -> Callable[[bytes], None]:
    """The target."""
    rpcs = [rpc for rpc in all_rpcs() if rpc.path.startswith("/goldsmith.")]
    room = open_room()
    before = room.state(_OTHER)

    def one_input(raw: bytes) -> None:
        data = decisions(raw)
        rpc, identity = data.PickValueInList(rpcs), data.PickValueInList(_CALLERS)
        request = _request(data, rpc)
        assert MARKS[_OTHER].encode() not in _seen(room, rpc, identity, request), (rpc.path, request)
        assert room.state(_OTHER) == before, (rpc.path, request)

    return one_input


def _seen(room: Room, rpc: Rpc, identity: Identity, request: Message) -> bytes:
    """All that the caller gets to see: responses, or an error with its details."""
    try:
        authorise(RULES[rpc.path], identity, request)
        for text in texts(request):
            assert all(getattr(name, "tenant") == "acme" for name in read(text)), (rpc.path, request)  # noqa: B009
        if not rpc.path.startswith("/goldsmith.inference."):
            return b"".join(found.SerializeToString() for found in room.call(rpc, identity, request))
        refuse_unknown_fields(request)
        if hasattr(request, "prompt"):
            translate.question(request, None, 1.0)
    except DomainError as err:
        return to_status(err).SerializeToString()
    return b""


def _request(data: atheris.FuzzedDataProvider, rpc: Rpc) -> Message:
    """A request about what some tenant owns, with some fields exchanged, as it comes off the wire."""
    request = sample(rpc, data.PickValueInList(["tenants/acme", "tenants/acme", "tenants/globex"]))
    for _ in range(data.ConsumeIntInRange(0, 4)):
        _change(data, request, 0)
    wire = request.SerializeToString()
    if not data.ConsumeIntInRange(0, 7):  # protobuf merges what is appended
        wire += data.ConsumeBytes(40)
    with suppress(DecodeError):
        return rpc.request_type.FromString(wire)
    return request


def _change(data: atheris.FuzzedDataProvider, message: Message, depth: int) -> None:
    """One field of a message, at whatever depth, gets another value."""
    if not message.DESCRIPTOR.fields:
        return
    field = data.PickValueInList(list(message.DESCRIPTOR.fields))
    if field.message_type is None:
        value = _value(data, field)
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
    elif field.message_type.GetOptions().map_entry:
        key, value = (_value(data, part) for part in field.message_type.fields)
        getattr(message, field.name)[key] = value
    elif depth < _MAX_MESSAGE_DEPTH:
        inner = getattr(message, field.name)
        inner = inner.add() if field.is_repeated else inner
        inner.SetInParent()
        _change(data, inner, depth + 1)


def _value(data: atheris.FuzzedDataProvider, field: FieldDescriptor) -> object:
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return data.ConsumeBytes(20) if field.type == FieldDescriptor.TYPE_BYTES else text_of(data)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return data.ConsumeBool()
    if kind in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        return data.ConsumeFloat()
    if kind in (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64):
        return data.ConsumeIntInRange(0, 2**32 - 1)
    return data.ConsumeInt(8 if kind == FieldDescriptor.CPPTYPE_INT64 else 4)


def texts(message: Message) -> Iterator[str]:
    """Every text of a message that is not a tenant's own content, keys of maps included."""
    for field, value in message.ListFields():
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        values = [*value, *value.values()] if is_map else value if field.is_repeated else [value]
        for each in values:
            if isinstance(each, Message):
                yield from texts(each)
            elif isinstance(each, str) and field.full_name not in CONTENT_FIELDS:
                yield each


def open_hole() -> None:
    """Only the first name of a message is looked at."""
    names_in = check.names_in
    check.names_in = lambda message, path="": list(names_in(message, path))[:1]
