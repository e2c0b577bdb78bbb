"""The guard before every handler, on small services of its own: RPCs of every kind, streams that outlive a caller."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from goldsmith.contract.v1.contract_service_pb2 import GetContractRequest
from shared.errors import AccessDenied, Unauthenticated
from shared.rpc.access.interceptor import AccessInterceptor
from shared.rpc.access.rule import Rule
from shared.rpc.identity import Identity, IdentityMethod, Role, current_identity
from shared.rpc.identity.authenticator import Metadata, PeerProperties
from shared.rpc.interceptor import ErrorInterceptor
from shared.rpc.status import from_rpc_error
from shared.testing import ManualClock

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]
CLOCK = ManualClock()
ANA = Identity("ana", "acme", frozenset({Role.USER}), IdentityMethod.TOKEN)
USERS = frozenset({Role.USER})
KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


class Subjects:
    """Knows callers by their word."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def identify(self, metadata: Metadata, peer: PeerProperties) -> Identity:
        """Whoever gives a name."""
        name = dict(metadata).get("x-name")
        if name is None:
            raise Unauthenticated("CREDENTIALS_MISSING", "nobody")
        return replace(self._identity, subject=str(name))


class Handlers(grpc.GenericRpcHandler):
    """Answers /test/KIND with the caller's name; a stream goes on with messages of `size` while they are taken."""

    def __init__(self) -> None:
        self.calls = self.given = self.size = 0
        self.ended = asyncio.Event()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """A handler of the kind that the path names."""
        kind = handler_call_details.method.rpartition("/")[2]
        if kind not in KINDS:
            return None
        behaviour = self._stream if kind.endswith("stream") else self._unary
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(behaviour, GetContractRequest.FromString, GetContractRequest.SerializeToString)

    async def _unary(self, request: object, context: object) -> GetContractRequest:
        self.calls += 1
        return GetContractRequest(name=current_identity().subject)

    async def _stream(self, request: object, context: object) -> AsyncIterator[GetContractRequest]:
        self.calls += 1
        try:
            yield GetContractRequest(name=current_identity().subject)
            while self.size:
                self.given += 1
                yield GetContractRequest(name="x" * self.size)
            await asyncio.Event().wait()
        finally:
            self.ended.set()


@asynccontextmanager
async def _served(rules: dict[str, Rule], identity: Identity = ANA) -> AsyncIterator[tuple[Handlers, grpc.aio.Channel]]:
    handlers = Handlers()
    guard = AccessInterceptor(Subjects(identity), CLOCK, rules)
    server = grpc.aio.server(interceptors=[ErrorInterceptor(), guard])
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield handlers, channel
    await server.stop(0)


def _start(channel: grpc.aio.Channel, kind: str, name: str | None = "ana", resource: str = "tenants/acme/x") -> Any:
    method = getattr(channel, kind)(
        f"/test/{kind}", GetContractRequest.SerializeToString, GetContractRequest.FromString
    )
    request = GetContractRequest(name=resource)
    metadata = () if name is None else (("x-name", name),)
    return method(iter([request]) if kind.startswith("stream") else request, metadata=metadata, timeout=20)


async def _first(call: Any, kind: str) -> str:
    try:
        response = await (call.read() if kind.endswith("stream") else call)
    except grpc.RpcError as err:
        raise from_rpc_error(err) from err
    finally:
        call.cancel()
    return str(response.name)


class TestGuard:
    """Every kind of RPC."""

    @pytest.mark.parametrize("kind", KINDS)
    async def test_lets_those_pass_whom_the_table_allows(self, kind: str) -> None:
        """The handler knows its caller; two callers at once are not mixed up."""
        async with _served({f"/test/{kind}": Rule(USERS)}) as (_, channel):
            calls = [_start(channel, kind, name) for name in ("ana", "bob")]

            assert [await _first(call, kind) for call in calls] == ["ana", "bob"]

    @pytest.mark.parametrize("kind", KINDS)
    async def test_refuses_an_rpc_without_a_row(self, kind: str) -> None:
        """Whatever the caller's role: nobody decided yet."""
        operator = Identity("otto", None, frozenset({Role.OPERATOR}), IdentityMethod.TOKEN)
        async with _served({}, operator) as (handlers, channel):
            with pytest.raises(AccessDenied) as caught:
                await _first(_start(channel, kind), kind)

        assert caught.value.reason == "ROLE_MISSING"
        assert handlers.calls == 0

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(
        ("rule", "name", "refusal"),
        [(Rule(USERS), None, Unauthenticated), (Rule(frozenset({Role.ADMIN})), "ana", AccessDenied)],
    )
    async def test_runs_no_handler_for_others(
        self, kind: str, rule: Rule, name: str | None, refusal: type[Exception]
    ) -> None:
        """Neither for nobody nor for the wrong role."""
        async with _served({f"/test/{kind}": rule}) as (handlers, channel):
            with pytest.raises(refusal):
                await _first(_start(channel, kind, name), kind)

        assert handlers.calls == 0

    @pytest.mark.parametrize("kind", ["stream_unary", "stream_stream"])
    async def test_refuses_requests_that_come_as_a_stream_to_a_tenants_resource(self, kind: str) -> None:
        """They cannot be looked at before the handler runs; the contracts have none."""
        async with _served({f"/test/{kind}": Rule(USERS, ("name",))}) as (handlers, channel):
            with pytest.raises(AccessDenied):
                await _first(_start(channel, kind), kind)

        assert handlers.calls == 0

    async def test_lets_a_caller_leave_a_stream_quietly(self, caplog: pytest.LogCaptureFixture) -> None:
        """The handler is ended without a fault of ours, also where gRPC holds what it gave and asks for no more."""
        async with _served({"/test/unary_stream": Rule(USERS, follows=True)}) as (handlers, channel):
            handlers.size = 1 << 20
            stream = _start(channel, "unary_stream")
            await stream.read()
            seen = -1
            while handlers.given != seen:
                seen = handlers.given
                await asyncio.sleep(0.2)
            stream.cancel()
            while not handlers.ended.is_set():
                await asyncio.sleep(0.05)
                gc.collect()

        assert seen > 1
        ours = [record for record in caplog.records if not record.name.startswith("grpc.")]  # gRPC tells of its write
        assert [record.message for record in ours if record.levelno >= logging.WARNING] == []

    async def test_leaves_unknown_rpcs_to_grpc(self) -> None:
        """There is nothing to guard."""
        async with _served({}) as (_, channel):
            unknown = channel.unary_unary("/test/other", Empty.SerializeToString, Empty.FromString)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await unknown(Empty(), timeout=20)

        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


class TestExpiry:
    """A credential that ends while a stream runs."""

    EXPIRING = replace(ANA, expire_time=CLOCK.now() + timedelta(seconds=0.3))

    async def test_ends_a_watch_with_its_reason(self) -> None:
        """The handler is stopped, and the caller is told to come back with a new one."""
        async with _served({"/test/unary_stream": Rule(USERS, follows=True)}, self.EXPIRING) as (handlers, channel):
            watch = _start(channel, "unary_stream")
            first = await watch.read()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await watch.read()
            await asyncio.wait_for(handlers.ended.wait(), 10)

        error = from_rpc_error(caught.value)
        assert (type(error), error.reason) == (Unauthenticated, "CREDENTIALS_EXPIRED")
        assert first.name == "ana"

    async def test_leaves_other_streams_to_their_own_end(self) -> None:
        """An answer that was begun in time is given to its end."""
        async with _served({"/test/unary_stream": Rule(USERS)}, self.EXPIRING) as (handlers, channel):
            stream = _start(channel, "unary_stream")
            await stream.read()
            more = asyncio.create_task(stream.read())
            done, _ = await asyncio.wait({more}, timeout=1)
            stream.cancel()

            assert done == set()
            await asyncio.wait_for(handlers.ended.wait(), 10)
