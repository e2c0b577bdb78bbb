"""Page tokens, ids of requests and etags: texts that callers bring back, and may have made up."""

from __future__ import annotations

import itertools
import re
import uuid
from collections.abc import Callable, Iterator

import atheris
from google.protobuf.message import Message

from goldsmith.registry.v1 import registry_service_pb2 as registry_pb
from goldsmith.trainer.v1 import dataset_service_pb2 as dataset_pb
from shared.errors import Conflict, DomainError, InvalidInput, NotFound
from shared.rpc.identity import Identity, IdentityMethod, Role
from shared.rpc.page import Page, next_token
from shared.rpc.trace import REQUEST_ID_KEY, _request_id
from tests.access.rpcs import Rpc, all_rpcs
from tests.access.sample import sample
from tests.fuzz.decision import decisions
from tests.fuzz.name import text_of
from tests.fuzz.room import MARKS, Room, open_room
from trainer_svc.store import catalog

_ADMINS = {
    tenant: Identity("ada", tenant, frozenset({Role.ADMIN}), IdentityMethod.TOKEN) for tenant in ("acme", "globex")
}
_REFUSALS = (InvalidInput, NotFound)
"""The second where a text looks like a name of another tenant's, in whatever field."""
_NUMBERS = ["0", "1", "2", "-1", "00", str(2**31), str(2**63 - 1), str(2**63), "9" * 18, "9" * 19, "9" * 4301]
_KEYS = [
    *_NUMBERS, "answer", "golden", "open", "tenants/globex/adapters/answer/aliases/live", "\x00", "\u0661", " 1", "1_0",
]  # fmt: skip
_RPCS = {rpc.descriptor.name: rpc for rpc in all_rpcs()}
_LISTS = [rpc for name, rpc in _RPCS.items() if name.startswith("List") and rpc.path.startswith("/goldsmith.")]


def make() -> Callable[[bytes], None]:
    """The target."""
    room, numbers = open_room(), itertools.count()
    lists = [rpc for rpc in _LISTS if not rpc.path.startswith("/goldsmith.inference.")]

    def one_input(raw: bytes) -> None:
        data = decisions(raw)
        kind = data.ConsumeIntInRange(0, 3)
        if kind == 0:
            _repeat(room, data, numbers)
        elif kind == 1:
            _move(room, data)
        elif kind == 2:
            text = text_of(data)
            known = _request_id({REQUEST_ID_KEY: text})
            assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", known, re.ASCII)
            assert known == text or not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", text, re.ASCII)
        else:
            _turn_pages(room, data.PickValueInList(lists), data)

    return one_input


def _text(data: atheris.FuzzedDataProvider) -> str:
    return data.PickValueInList(_KEYS) if data.ConsumeBool() else text_of(data)


def _token(data: atheris.FuzzedDataProvider) -> str:
    """A page token of ours, or of nobody's."""
    return next_token(_text(data)) if data.ConsumeIntInRange(0, 3) else _text(data)


def _turn_pages(room: Room, rpc: Rpc, data: atheris.FuzzedDataProvider) -> None:
    """A page is refused or holds the caller's own, and its token leads on until the list ends."""
    request = sample(rpc)
    setattr(request, "page_size", data.PickValueInList([0, 1, 2, -1, 2**31 - 1]))  # noqa: B010  # of whatever class
    token = _token(data)
    for _ in range(4):
        setattr(request, "page_token", token)  # noqa: B010
        try:
            (response,) = room.call(rpc, _ADMINS["acme"], request)
        except _REFUSALS:
            return
        assert MARKS["globex"].encode() not in response.SerializeToString(), (rpc.path, token)
        token = getattr(response, "next_page_token")  # noqa: B009
        if not token:
            return
        assert next_token(Page.parse(1, token).after) == token


def _repeat(room: Room, data: atheris.FuzzedDataProvider, numbers: Iterator[int]) -> None:
    """The same id again is the same request, another request is refused; another tenant's id is another id."""
    rpc, request_id = _RPCS["CreateGoldenDataset"], _text(data)
    if data.ConsumeIntInRange(0, 3):
        request_id = str(uuid.UUID(bytes=data.ConsumeBytes(16).ljust(16)))
    first, second = _creation("acme", request_id, next(numbers)), _creation("acme", request_id, next(numbers))
    try:
        (created,) = room.call(rpc, _ADMINS["acme"], first)
    except _REFUSALS:  # such as for an id of an earlier round
        return
    (other,) = room.call(rpc, _ADMINS["globex"], _creation("globex", request_id, next(numbers)))
    assert getattr(other, "name").startswith("tenants/globex/")  # noqa: B009
    if request_id:
        (again,) = room.call(rpc, _ADMINS["acme"], first)
        assert again == created
        assert isinstance(_refusal(room, rpc, second), InvalidInput), request_id


def _creation(tenant: str, request_id: str, number: int) -> Message:
    own = f"tenants/{tenant}"
    request = dataset_pb.CreateGoldenDatasetRequest(parent=own, dataset_id=f"new-{number}", request_id=request_id)
    request.dataset.contract = f"{own}/contracts/answer"
    return request


def _move(room: Room, data: atheris.FuzzedDataProvider) -> None:
    """An alias moves under its own etag or under none, and never under any other text."""
    rpc, alias = _RPCS["SetAlias"], "tenants/acme/adapters/answer/aliases/live"
    aliases = registry_pb.ListAliasesRequest(parent="tenants/acme/adapters/answer", page_size=1)
    ((present,),) = (found.aliases for found in room.call(_RPCS["ListAliases"], _ADMINS["acme"], aliases))
    current, revision = present.etag, present.revision
    etag = data.PickValueInList([current, f" {current}", f"0{current}", f"{current}\n", f"+{current}", _text(data)])
    wanted = f"tenants/acme/adapters/answer/revisions/{2 if revision.endswith('/1') else 1}"
    request = registry_pb.SetAliasRequest(alias={"name": alias, "revision": wanted, "etag": etag})
    refusal = _refusal(room, rpc, request)
    if etag in ("", current):
        assert refusal is None
    else:
        assert isinstance(refusal, (Conflict, *_REFUSALS)), etag


def _refusal(room: Room, rpc: Rpc, request: Message) -> DomainError | None:
    try:
        room.call(rpc, _ADMINS["acme"], request)
    except DomainError as err:
        return err
    return None


def open_hole() -> None:
    """A list is of everybody's from its second page on."""
    list_datasets = catalog.list_datasets

    def careless(connection: object, tenant: str, page: Page) -> object:
        return list_datasets(connection, "globex" if page.after else tenant, page)  # type: ignore[arg-type]

    catalog.list_datasets = careless  # type: ignore[assignment]
