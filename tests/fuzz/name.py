"""Resource names: what is read as one, and what is made of it. No name leaves its tenant, in requests or on disk."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import atheris

from goldsmith.contract.v1 import contract_service_pb2 as contract_pb
from goldsmith.registry.v1 import registry_service_pb2 as registry_pb
from shared import names
from shared.errors import DomainError, InvalidInput
from shared.rpc.access.check import authorise
from shared.rpc.access.table import RULES
from shared.rpc.identity import Identity, IdentityMethod, Role
from tests.fuzz.decision import decisions
from trainer_svc.app.upload import Uploads

ADMIN = Identity("ada", "acme", frozenset({Role.ADMIN}), IdentityMethod.TOKEN)
_FOLDER = Path("/srv/goldsmith")
_ID = r"([a-z]|[a-z][a-z0-9-]{0,61}[a-z0-9])"
_FORMS: list[tuple[type, str]] = [
    (names.TenantName, rf"tenants/{_ID}"),
    (names.ContractName, rf"tenants/{_ID}/contracts/{_ID}"),
    (names.DatasetName, rf"tenants/{_ID}/datasets/{_ID}"),
    (names.JobName, rf"tenants/{_ID}/jobs/{_ID}"),
    (names.AdapterName, rf"tenants/{_ID}/adapters/{_ID}"),
    (names.RevisionName, rf"tenants/{_ID}/adapters/{_ID}/revisions/[1-9][0-9]{{0,8}}"),
    (names.AliasName, rf"tenants/{_ID}/adapters/{_ID}/aliases/{_ID}"),
    (names.PreferenceStudyName, rf"tenants/{_ID}/adapters/{_ID}/preferenceStudies/{_ID}"),
]
"""The syntax of each name, written a second time on purpose."""
_PIECES = [
    "tenants", "tenants/", "tenants/acme", "tenants/globex", "acme", "globex", "/", "//", "..", "../", ".", "-", "_",
    "%2f", "%2e%2e", "\x00", " ", "\n", "\t", "contracts/x", "/contracts/answer", "/datasets/golden", "/jobs/first",
    "/adapters/answer", "/revisions/1", "/revisions/01", "/revisions/999999999", "/aliases/live", "/adapters/-",
    "\u2215", "\uff0f", "\u0661", "\u0130", "\u017f", "A", "\\", "?", "#", "a" * 62, "a" * 63, "a" * 64,
]  # fmt: skip
_TAILS = [
    "", "/contracts/answer", "/datasets/golden", "/jobs/first", "/adapters/answer", "/adapters/answer/revisions/1",
    "/adapters/answer/aliases/live", "/adapters/-",
]  # fmt: skip


def _set_alias(revision: str) -> registry_pb.SetAliasRequest:
    request = registry_pb.SetAliasRequest()
    request.alias.name, request.alias.revision = "tenants/acme/adapters/answer/aliases/live", revision
    return request


_RULES = [
    (RULES["/goldsmith.contract.v1.ContractService/GetContract"], lambda n: contract_pb.GetContractRequest(name=n)),
    (RULES["/goldsmith.registry.v1.RegistryService/ListAliases"], lambda n: registry_pb.ListAliasesRequest(parent=n)),
    (RULES["/goldsmith.registry.v1.RegistryService/SetAlias"], _set_alias),
]


def text_of(data: atheris.FuzzedDataProvider) -> str:
    """A text that is a name, is like one, or is any."""
    kind = data.ConsumeIntInRange(0, 3)
    if kind == 0:
        return data.ConsumeUnicodeNoSurrogates(200)
    tenant = data.PickValueInList(["acme", "globex", "acmes", "acm", "-", "ACME", ""])
    text = f"tenants/{tenant}{data.PickValueInList(_TAILS)}" if kind > 1 else ""
    for _ in range(data.ConsumeIntInRange(0, 4)):
        place = data.ConsumeIntInRange(0, len(text))
        piece = data.PickValueInList(_PIECES) if data.ConsumeBool() else data.ConsumeUnicodeNoSurrogates(8)
        text = text[:place] + piece + text[place + data.ConsumeIntInRange(0, 3) :]
    return text


def read(text: str) -> list[object]:
    """The text as each kind of name that it is."""
    found = []
    for kind, _ in _FORMS:
        try:
            found.append(kind.parse(text))
        except InvalidInput:
            continue
    return found


def make() -> Callable[[bytes], None]:
    """The target."""
    uploads = Uploads(_FOLDER)

    def one_input(raw: bytes) -> None:
        text = text_of(decisions(raw))
        parsed = read(text)
        wanted = {kind for kind, form in _FORMS if re.fullmatch(form, text, re.ASCII)}
        assert {type(name) for name in parsed} == wanted, text
        for name in parsed:
            assert str(name) == text
            if isinstance(name, names.DatasetName):
                path = uploads._path(name)
                assert os.path.normpath(path) == str(path), text
                assert path.parent == _FOLDER / name.tenant, text
                assert path.parent.parent == _FOLDER, text
        for rule, request in _RULES:
            try:
                authorise(rule, ADMIN, request(text))
            except DomainError:
                continue
            assert all(getattr(name, "tenant") == "acme" for name in parsed), text  # noqa: B009  # of whatever class

    return one_input


def open_hole() -> None:
    """Ids end where a line does, as `re.match` with `$` would have it."""
    names._ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?\n?")
