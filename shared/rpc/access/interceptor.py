"""Stands before every handler: knows the caller, applies the access table, and keeps the audit log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import datetime

import grpc
from google.protobuf.message import Message

from shared.clock import Clock
from shared.errors import AccessDenied, DomainError, Unauthenticated
from shared.rpc.access.audit import write_audit
from shared.rpc.access.check import authorise
from shared.rpc.access.rule import Rule
from shared.rpc.access.table import RULES
from shared.rpc.handler import Context, Handler, behaviour_of, is_asynchronous, with_behaviour
from shared.rpc.identity import Identity
from shared.rpc.identity.authenticator import Authenticator
from shared.rpc.identity.caller import act_for
from shared.rpc.status import CODES

_log = logging.getLogger(__name__)


class AccessInterceptor(grpc.aio.ServerInterceptor):
    """Refuses what the table does not allow. Comes after `ErrorInterceptor`, which turns its errors into statuses."""

    def __init__(self, authenticator: Authenticator, clock: Clock, rules: Mapping[str, Rule] = RULES) -> None:
        self._authenticator, self._clock, self._rules = authenticator, clock, rules

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wraps handlers of all four kinds; an RPC that is open to anyone runs as it is."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        rule = self._rules.get(method)
        if handler is None or not is_asynchronous(handler):
            # UNIMPLEMENTED: what gRPC's own health service leaves out (List) would otherwise end as a fault of ours.
            return None
        if rule is not None and rule.roles is None:
            return handler
        gate = _Gate(method, rule, self._authenticator, self._clock)
        wrap = gate.streaming if handler.response_streaming else gate.unary
        return with_behaviour(handler, wrap(behaviour_of(handler)))


class _Gate:
    """One RPC's way through the table."""

    def __init__(self, method: str, rule: Rule | None, authenticator: Authenticator, clock: Clock) -> None:
        self._method, self._rule, self._authenticator, self._clock = method, rule, authenticator, clock

    def unary(self, behaviour: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        """The handler of one response, which alone may change something."""

        async def call(request: object, context: Context) -> object:
            identity, outcome = None, grpc.StatusCode.INTERNAL
            try:
                identity = self._identify(context)
                self._authorise(identity, request)
                act_for(identity)
                response = await behaviour(request, context)
            except DomainError as err:
                outcome = CODES[type(err)]
                raise
            except asyncio.CancelledError:
                outcome = grpc.StatusCode.CANCELLED
                raise
            else:
                outcome = grpc.StatusCode.OK
                return response
            finally:
                self._audit(identity, request, outcome)

        return call

    def streaming(self, behaviour: Callable[..., AsyncGenerator[object]]) -> Callable[..., AsyncIterator[object]]:
        """The handler of a stream of responses; one without an end of its own ends with the credential."""

        async def call(request: object, context: Context) -> AsyncIterator[object]:
            identity = self._identify(context)
            self._authorise(identity, request)
            assert self._rule is not None, "what has no rule is not authorised"
            end = identity.expire_time if self._rule.follows else None
            act_for(identity)
            limit = asyncio.timeout(self._seconds_until(end))
            async with aclosing(behaviour(request, context)) as responses:
                try:
                    async with limit:
                        async for response in responses:
                            yield response
                except TimeoutError as err:
                    if not limit.expired():
                        raise
                    raise Unauthenticated(
                        "CREDENTIALS_EXPIRED", "the caller's credential has expired", hint="watch on with a new one"
                    ) from err

        return call

    def _identify(self, context: Context) -> Identity:
        return self._authenticator.identify(context.invocation_metadata() or (), context.auth_context())

    def _authorise(self, identity: Identity, request: object) -> None:
        if self._rule is None:
            _log.error("an RPC without a row in the access table was refused", extra={"method": self._method})
            raise AccessDenied("ROLE_MISSING", "this call is not open to anyone")
        authorise(self._rule, identity, request if isinstance(request, Message) else None)

    def _audit(self, identity: Identity | None, request: object, outcome: grpc.StatusCode) -> None:
        if self._rule is None or not isinstance(request, Message):
            return
        if self._rule.is_audited(request, has_failed=outcome is not grpc.StatusCode.OK):
            resource = self._rule.subject(request)
            write_audit(method=self._method, identity=identity, resource=resource, outcome=outcome.name)

    def _seconds_until(self, end: datetime | None) -> float | None:
        return None if end is None else max(0.0, (end - self._clock.now()).total_seconds())
