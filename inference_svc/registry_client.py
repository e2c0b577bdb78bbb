"""The trainer's registry over gRPC, as this service needs it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import grpc

from goldsmith.contract.v1 import contract_service_pb2, contract_service_pb2_grpc
from goldsmith.registry.v1 import adapter_pb2, registry_service_pb2, registry_service_pb2_grpc
from inference_svc.app.ports import AliasFacts, RevisionFacts
from shared.adapter.canary import CanarySplit, RollbackReason
from shared.adapter.package import FILE_NAMES, MANIFEST_NAME, MAX_SIGNATURE_BYTES, SIGNATURE_NAME
from shared.client.credentials import Credentials
from shared.contracts.spec import ContractSpec
from shared.errors import DataLoss, DomainError, InvalidInput, NotFound
from shared.names import AliasName, ContractName, RevisionName
from shared.rpc.canary_message import REASONS, split_of, timestamp_of
from shared.rpc.contract_message import spec_of
from shared.rpc.status import from_rpc_error
from shared.telemetry.trace import trace_metadata

_log = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 15.0
_DOWNLOAD_TIMEOUT_SECONDS = 600.0
_MAX_BACKOFF_SECONDS = 5.0
_MAX_CHUNK_BYTES = 2 << 20
_OPTIONS = (("grpc.max_receive_message_length", 4 << 20), ("grpc.keepalive_time_ms", 30_000))
_ALLOWED_FILES = frozenset({MANIFEST_NAME, SIGNATURE_NAME, *FILE_NAMES})

Result = TypeVar("Result")


class GrpcRegistry:
    """Implements the `Registry` port; plaintext without credentials, which must be of the role `service`."""

    def __init__(self, address: str, credentials: Credentials | None = None) -> None:
        self._channel = (
            grpc.aio.insecure_channel(address, options=_OPTIONS)
            if credentials is None
            else grpc.aio.secure_channel(address, credentials.for_channel(), options=_OPTIONS)
        )
        self._registry = registry_service_pb2_grpc.RegistryServiceStub(self._channel)
        self._contracts = contract_service_pb2_grpc.ContractServiceStub(self._channel)

    @property
    def channel(self) -> grpc.aio.Channel:
        """The connection, for other services of the same process; closed by `close`."""
        return self._channel

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()

    async def revision(self, name: RevisionName) -> RevisionFacts:
        """Facts of a revision. Raises `NotFound`."""
        request = registry_service_pb2.GetRevisionRequest(name=str(name))
        call = self._registry.GetRevision(request, timeout=_TIMEOUT_SECONDS, metadata=trace_metadata())
        found = await _mapped(call)
        return RevisionFacts(RevisionName.parse(found.name), found.digest)

    async def contract(self, name: ContractName) -> ContractSpec:
        """Definition of a contract.

        Raises `NotFound`, or `DataLoss` when this replica reads another definition than the registry stored, as it
        would if it were older and an option unknown to it: another promise must not be held in its place.
        """
        request = contract_service_pb2.GetContractRequest(name=str(name))
        call = self._contracts.GetContract(request, timeout=_TIMEOUT_SECONDS, metadata=trace_metadata())
        stored = await _mapped(call)
        spec = spec_of(stored)
        if spec.digest != stored.digest:
            raise DataLoss(
                "DIGEST_MISMATCH",
                f"{name} is {stored.digest} in the registry and reads as {spec.digest} here",
                hint="update this replica to the registry's version",
            )
        return spec

    async def roll_back_canary(
        self, alias: AliasName, split: CanarySplit, reason: RollbackReason, description: str
    ) -> None:
        """Ends the trial of a canary that is worse; does nothing when it is over already. Raises `NotFound`."""
        request = registry_service_pb2.RollBackCanaryRequest(
            name=str(alias),
            revision=str(split.revision),
            start_time=timestamp_of(split.start_time),
            reason=REASONS[reason],
            description=description,
        )
        call = self._registry.RollBackCanary(request, timeout=_TIMEOUT_SECONDS, metadata=trace_metadata())
        await _mapped(call)

    async def download(self, name: RevisionName, folder: Path) -> None:
        """Writes the revision's files into `folder`; raises `DataLoss` for chunks out of place."""
        request = registry_service_pb2.DownloadRevisionRequest(name=str(name))
        sizes: dict[str, int] = {}
        call = self._registry.DownloadRevision(request, timeout=_DOWNLOAD_TIMEOUT_SECONDS, metadata=trace_metadata())
        try:
            with _domain_errors():
                async for chunk in call:
                    offset = sizes.get(chunk.filename, 0)
                    if (
                        chunk.filename not in _ALLOWED_FILES
                        or chunk.offset != offset
                        or len(chunk.data) > _MAX_CHUNK_BYTES
                    ):
                        raise DataLoss("DIGEST_MISMATCH", f"{name}: chunk of {chunk.filename[:80]!r} out of place")
                    await asyncio.to_thread(_append, folder / chunk.filename, chunk.data)
                    sizes[chunk.filename] = offset + len(chunk.data)
        finally:
            call.cancel()

    async def signature(self, name: RevisionName) -> bytes | None:
        """The file with the revision's signature, its first bytes if it is too long for one; None without one."""
        request = registry_service_pb2.DownloadRevisionRequest(name=str(name), filename=SIGNATURE_NAME)
        call = self._registry.DownloadRevision(request, timeout=_TIMEOUT_SECONDS, metadata=trace_metadata())
        data = b""
        try:
            with _domain_errors():
                async for chunk in call:
                    data += chunk.data
                    if len(data) > MAX_SIGNATURE_BYTES:
                        break
        except NotFound:
            return None
        finally:
            call.cancel()
        return data

    async def watch_aliases(self) -> AsyncIterator[AliasFacts]:
        """Every alias as it is now, then each change, for ever; reconnects where the stream broke."""
        cursor, failures = "", 0
        while True:
            call = self._registry.WatchAliases(registry_service_pb2.WatchAliasesRequest(cursor=cursor))
            try:
                with _domain_errors():
                    async for event in call:
                        cursor, failures = event.cursor, 0
                        if event.HasField("alias"):
                            alias = event.alias
                            name, revision = AliasName.parse(alias.name), RevisionName.parse(alias.revision)
                            yield AliasFacts(name, revision, _canary(alias))
            except DomainError as err:
                if err.reason == "CURSOR_INVALID":
                    cursor = ""  # another registry's history: begin with the present state
                if failures == 0:
                    _log.warning("registry not reachable, will retry", extra={"reason": err.reason, "detail": str(err)})
            finally:
                call.cancel()  # a dropped stream would otherwise run to its end on the server
            failures += 1
            await asyncio.sleep(min(_MAX_BACKOFF_SECONDS, 0.1 * 2 ** min(failures, 10)))


def _canary(alias: adapter_pb2.AdapterAlias) -> CanarySplit | None:
    """None too for one that a newer registry describes in terms unknown here: it could not be judged as asked."""
    if not alias.HasField("canary"):
        return None
    try:
        return split_of(alias.canary)
    except InvalidInput as err:
        _log.warning("canary not served: update this replica", extra={"alias": alias.name, "detail": str(err)})
        return None


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


@contextmanager
def _domain_errors() -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as err:
        raise from_rpc_error(err) from err


async def _mapped(call: Awaitable[Result]) -> Result:
    with _domain_errors():
        return await call
