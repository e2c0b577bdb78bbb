"""Every RPC with every kind of caller: what should happen, what does, and the gaps between."""

from __future__ import annotations

import time
from collections.abc import Callable, ItemsView
from dataclasses import dataclass
from functools import reduce

import grpc
import jwt
from google.protobuf.message import Message

from shared.rpc.access.check import names_in
from shared.rpc.status import from_rpc_error
from tests.access.house import TENANT, House
from tests.access.issuer import TokenIssuer, encode_part, new_key
from tests.access.rpcs import Rpc, all_rpcs, string_fields
from tests.access.sample import sample

_TIMEOUT_SECONDS = 30.0
OTHER = "tenants/globex"

MAY_CALL: dict[str, str] = {
    "ContractService/CreateContract": "AO",
    "ContractService/CompileContract": "UAO",
    "ContractService/GetContract": "UAOS",
    "ContractService/ListContracts": "UAO",
    "DatasetService/CreateGoldenDataset": "AO",
    "DatasetService/UploadDatasetChunk": "AO",
    "DatasetService/SealGoldenDataset": "AO",
    "DatasetService/GetGoldenDataset": "UAO",
    "DatasetService/ListGoldenDatasets": "UAO",
    "DatasetService/ListDatasetFindings": "UAO",
    "DatasetService/PreviewExample": "UAO",
    "DatasetService/CurateGoldenDataset": "AO",
    "DatasetService/ListDatasetChanges": "UAO",
    "TrainingService/CreateTrainingJob": "AO",
    "TrainingService/GetTrainingJob": "UAO",
    "TrainingService/ListTrainingJobs": "UAO",
    "TrainingService/CancelTrainingJob": "AO",
    "TrainingService/PauseTrainingJob": "AO",
    "TrainingService/ResumeTrainingJob": "AO",
    "TrainingService/WatchTrainingJob": "UAO",
    "TrainingService/EstimateTrainingJob": "UAO",
    "EvaluationService/GetJobEvaluation": "UAO",
    "EvaluationService/ListEvaluatedRows": "UAO",
    "PreferenceService/CreatePreferenceStudy": "AO",
    "PreferenceService/GetPreferenceStudy": "UAO",
    "PreferenceService/ListPreferenceStudies": "UAO",
    "PreferenceService/ListPreferencePairs": "UAO",
    "PreferenceService/SubmitPreferenceVerdicts": "AO",
    "PreferenceService/ClosePreferenceStudy": "AO",
    "EconomicsService/ReportUsage": "OS",
    "EconomicsService/ListUsage": "UAO",
    "EconomicsService/GetSavings": "UAO",
    "RegistryService/GetRevision": "UAOS",
    "RegistryService/ListRevisions": "UAO",
    "RegistryService/DownloadRevision": "AOS",
    "RegistryService/ListAliases": "UAOS",
    "RegistryService/SetAlias": "AO",
    "RegistryService/RollBackCanary": "OS",
    "RegistryService/WatchAliases": "OS",
    "PromotionService/GetPromotionPolicy": "UAO",
    "PromotionService/UpdatePromotionPolicy": "AO",
    "PromotionService/CheckPromotion": "UAO",
    "PromotionService/PromoteRevision": "AO",
    "PromotionService/RollBackAlias": "AO",
    "PromotionService/ListPromotions": "UAO",
    "InferenceService/Generate": "UAO",
    "InferenceService/Extract": "UAO",
    "InferenceService/GenerateSql": "UAO",
    "InferenceService/GenerateStream": "UAO",
    "InferenceService/ListResidentAdapters": "UAO",
    "InferenceService/WatchResidentAdapters": "UAO",
    "Health/Check": "*",
    "Health/List": "-",
    "Health/Watch": "*",
    "ServerReflection/ServerReflectionInfo": "UAOS",
}
"""Who may call what of their own: U tenant user, A tenant admin, O operator, S inference service, * anyone; - is what
gRPC's own servicer leaves unimplemented. Written down a second time on purpose: a slip in the table of the services
must not move its own test."""

_OPEN = {"*": "OK, reached", "-": "UNIMPLEMENTED UNIMPLEMENTED"}
_ROLES = {"own user": "U", "own admin": "A", "operator": "O", "service": "S"}

Show = Callable[[TokenIssuer], str | None]


def _now() -> int:
    return int(time.time())


def _tampered(issuer: TokenIssuer) -> str:
    head, _, signature = issuer.token().split(".")
    return f"{head}.{encode_part(issuer.claims(roles=['operator'], tenant=None))}.{signature}"


def _unsigned(issuer: TokenIssuer) -> str:
    return f"{encode_part({'alg': 'none', 'kid': 'one'})}.{encode_part(issuer.claims(roles=['admin']))}."


def _stranger(issuer: TokenIssuer) -> str:
    return jwt.encode(issuer.claims(), new_key("EdDSA", "stranger"), "EdDSA", headers={"kid": "stranger"})


CALLERS: dict[str, Show] = {
    "own user": lambda issuer: issuer.token(roles=["user"]),
    "own admin": lambda issuer: issuer.token(roles=["admin"]),
    "operator": lambda issuer: issuer.token(tenant=None, roles=["operator"]),
    "service": lambda issuer: issuer.token(tenant=None, roles=["service"]),
    "wrong tenant, user": lambda issuer: issuer.token(tenant="globex", roles=["user"]),
    "wrong tenant, admin": lambda issuer: issuer.token(tenant="globex", roles=["admin"]),
    "no identity": lambda _: None,
    "expired": lambda issuer: issuer.token(roles=["admin"], exp=_now() - 60),
    "not yet valid": lambda issuer: issuer.token(roles=["admin"], nbf=_now() + 600),
    "tampered": _tampered,
    "alg=none": _unsigned,
    "wrong audience": lambda issuer: issuer.token(roles=["admin"], aud="other"),
    "wrong issuer": lambda issuer: issuer.token(roles=["admin"], iss="https://other.test"),
    "unknown kid": _stranger,
}
_REFUSED = {
    "no identity": "CREDENTIALS_MISSING",
    "expired": "CREDENTIALS_EXPIRED",
    "not yet valid": "TOKEN_INVALID not_yet_valid",
    "tampered": "TOKEN_INVALID signature",
    "alg=none": "TOKEN_INVALID algorithm",
    "wrong audience": "TOKEN_INVALID audience",
    "wrong issuer": "TOKEN_INVALID issuer",
    "unknown kid": "TOKEN_INVALID key",
}


@dataclass(frozen=True)
class Outcome:
    """What a caller got, and whether the handler ran."""

    code: str
    reason: str
    words: str
    """Message, hint, metadata and violations, with the names of the request taken out."""
    reached: bool


@dataclass(frozen=True)
class Cell:
    """One RPC with one kind of caller."""

    rpc: str
    caller: str
    expected: str
    outcome: str

    @property
    def is_gap(self) -> bool:
        """Whether something else happened than should."""
        return self.expected != self.outcome


async def call(house: House, rpc: Rpc, request: Message, token: str | None) -> Outcome:
    """Sends a request over TLS and reads the first response."""
    credentials = grpc.ssl_channel_credentials(house.authority.path.read_bytes())
    metadata = () if token is None else (("authorization", f"Bearer {token}"),)
    before = len(house.reached.paths)
    async with grpc.aio.secure_channel(house.address(rpc.path), credentials) as channel:
        code, reason, words = await _send(channel, rpc, request, metadata)
    for name in sorted({name for _, name in names_in(request)}, key=len, reverse=True):
        words = words.replace(name, "*")
    return Outcome(code, reason, words, reached=rpc.path in house.reached.paths[before:])


async def _send(
    channel: grpc.aio.Channel, rpc: Rpc, request: Message, metadata: tuple[tuple[str, str], ...]
) -> tuple[str, str, str]:
    streams = rpc.descriptor.client_streaming, rpc.descriptor.server_streaming
    kind = {(False, False): "unary_unary", (False, True): "unary_stream", (True, True): "stream_stream"}[streams]
    method = getattr(channel, kind)(rpc.path, rpc.request_type.SerializeToString, rpc.response_type.FromString)
    given = iter([request]) if rpc.descriptor.client_streaming else request
    sent = method(given, metadata=metadata, timeout=_TIMEOUT_SECONDS)
    try:
        if rpc.descriptor.server_streaming:
            first = await sent.read()
            assert first is not grpc.aio.EOF, f"{rpc.path} ended without a word"
        else:
            await sent
    except grpc.RpcError as err:
        found = from_rpc_error(err)
        reason = " ".join(filter(None, (found.reason, found.metadata.get("fault"))))
        words = f"{found.message} {found.hint} {sorted(found.metadata.items())} {found.violations}"
        return err.code().name, reason, words  # type: ignore[attr-defined]  # errors of grpc.aio have a code
    finally:
        sent.cancel()
    return "OK", "", ""


def expected(rpc: Rpc, caller: str) -> str:
    """What should happen, in the words of `observed`."""
    may = MAY_CALL[rpc.short]
    if may in _OPEN:
        return _OPEN[may]
    if caller in _REFUSED:
        return f"UNAUTHENTICATED {_REFUSED[caller]}"
    if caller in _ROLES:
        return "OK, reached" if _ROLES[caller] in may else "PERMISSION_DENIED ROLE_MISSING"
    if rpc.path.startswith("/grpc."):
        return "OK, reached"  # reflection belongs to no tenant
    role = "A" if caller.endswith("admin") else "U"
    return "NOT_FOUND RESOURCE_NOT_FOUND" if role in may else "PERMISSION_DENIED ROLE_MISSING"


def observed(outcome: Outcome) -> str:
    """What happened: the code, then that the handler ran, or the reason why it did not."""
    if outcome.reached:
        return f"{outcome.code}, reached"
    return f"{outcome.code} {outcome.reason}"


async def run_matrix(house: House) -> list[Cell]:
    """All cells. A wrong tenant's must also answer for what exists exactly as for what does not."""
    cells = []
    for rpc in all_rpcs():
        for caller, show in CALLERS.items():
            token = show(house.issuer)
            present = await call(house, rpc, sample(rpc), token)
            absent = present
            if caller.startswith("wrong tenant"):
                absent = await call(house, rpc, sample(rpc, absent=True), token)
            cells.append(Cell(rpc.short, caller, expected(rpc, caller), _compared(present, absent)))
    return cells


async def run_all(house: House) -> list[Cell]:
    """The whole: every RPC with every kind of caller, and with every name that could be another tenant's."""
    return [*await run_matrix(house), *await run_second_resources(house)]


async def run_second_resources(house: House) -> list[Cell]:
    """Requests of globex's administrator about their own, but for one name, which is acme's: a cell for each name."""
    cells = []
    for rpc in all_rpcs():
        own, theirs = sample(rpc, OTHER), sample(rpc)
        token = house.issuer.token(tenant="globex", roles=["admin"])
        for path, name in _places(rpc, theirs):
            present = await call(house, rpc, _changed(own, path, name), token)
            absent = await call(house, rpc, _changed(own, path, f"{name}-none"), token)
            role = "A" in MAY_CALL[rpc.short]
            wanted = "NOT_FOUND RESOURCE_NOT_FOUND" if role else "PERMISSION_DENIED ROLE_MISSING"
            cells.append(Cell(rpc.short, f"own request, {path} of a wrong tenant", wanted, _compared(present, absent)))
    return cells


def _compared(present: Outcome, absent: Outcome) -> str:
    if present == absent:
        return observed(present)
    return f"{observed(present)} ({present.words}), but of what does not exist {observed(absent)} ({absent.words})"


def _places(rpc: Rpc, request: Message) -> ItemsView[str, str]:
    """Where the request has a name or could have one, and a name that belongs there."""
    places = dict(names_in(request))
    if "prompt.input" in dict(string_fields(rpc.descriptor.input_type)):
        places |= {"prompt.adapter": f"{TENANT}/adapters/answer", "prompt.contract": f"{TENANT}/contracts/sql"}
    return places.items()


def _changed(request: Message, path: str, name: str) -> Message:
    changed = type(request)()
    changed.CopyFrom(request)
    *parents, last = path.split(".")
    setattr(reduce(getattr, parents, changed), last, name)
    return changed


def figures(cells: list[Cell]) -> dict[str, int]:
    """The flat keys of `build/bench/adapters.json`."""
    return {"authorisation_cells": len(cells), "authorisation_gaps": sum(cell.is_gap for cell in cells)}
