"""The gRPC surface: parses, calls, translates."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc

from goldsmith.inference.v1 import inference_service_pb2 as pb
from goldsmith.inference.v1 import inference_service_pb2_grpc
from inference_svc import translate
from inference_svc.app.answering import Answering
from inference_svc.app.fleet import Fleet
from inference_svc.domain.generation import Answer, Question
from inference_svc.domain.residency import Resident
from shared.contracts.spec import ContractKind
from shared.names import TenantName, invalid_field
from shared.rpc.page import Page, take_page
from shared.rpc.unknown_field import refuse_unknown_fields

MAX_DEADLINE_SECONDS = 600.0
"""For callers that set none; nothing runs for ever."""

Context = grpc.aio.ServicerContext[object, object]


class InferenceServicer(inference_service_pb2_grpc.InferenceServiceServicer):
    """Implements `goldsmith.inference.v1.InferenceService`."""

    def __init__(self, answering: Answering, fleet: Fleet) -> None:
        self._answering, self._fleet = answering, fleet

    async def Generate(self, request: pb.GenerateRequest, context: Context) -> pb.GenerateResponse:
        """Text that satisfies the adapter's contract, of whatever kind."""
        answer = await self._answering.answer(_question(request, context, None))
        return pb.GenerateResponse(text=answer.text, summary=translate.summary(answer))

    async def Extract(self, request: pb.ExtractRequest, context: Context) -> pb.ExtractResponse:
        """JSON that satisfies the adapter's contract."""
        answer = await self._answering.answer(_question(request, context, ContractKind.JSON))
        return pb.ExtractResponse(json=answer.text, summary=translate.summary(answer))

    async def GenerateSql(self, request: pb.GenerateSqlRequest, context: Context) -> pb.GenerateSqlResponse:
        """One SELECT statement over the contract's tables."""
        answer = await self._answering.answer(_question(request, context, ContractKind.SQL))
        return pb.GenerateSqlResponse(sql=answer.text, summary=translate.summary(answer))

    async def GenerateStream(
        self, request: pb.GenerateStreamRequest, context: Context
    ) -> AsyncIterator[pb.GenerateStreamResponse]:
        """Pieces of text, then one summary."""
        async with aclosing(self._answering.stream(_question(request, context, None))) as events:
            async for event in events:
                if isinstance(event, Answer):
                    yield pb.GenerateStreamResponse(summary=translate.summary(event))
                else:
                    yield pb.GenerateStreamResponse(text_delta=event)

    async def ListResidentAdapters(
        self, request: pb.ListResidentAdaptersRequest, context: Context
    ) -> pb.ListResidentAdaptersResponse:
        """Adapters known to this replica."""
        parent = TenantName.parse(request.parent)
        found = self._fleet.residents(parent.tenant)
        page, token = take_page(
            found, Page.parse(request.page_size, request.page_token), lambda pair: str(pair[0].revision)
        )
        return pb.ListResidentAdaptersResponse(
            adapters=[self._shown(resident, aliases) for resident, aliases in page], next_page_token=token
        )

    async def WatchResidentAdapters(
        self, request: pb.WatchResidentAdaptersRequest, context: Context
    ) -> AsyncIterator[pb.WatchResidentAdaptersResponse]:
        """Adapters known to this replica, then what becomes of them."""
        parent = TenantName.parse(request.parent)
        async for change in self._fleet.watch(parent.tenant):
            adapter = None if change is None else self._shown(*change)
            yield pb.WatchResidentAdaptersResponse(adapter=adapter)

    def _shown(self, resident: Resident, aliases: list[str]) -> pb.ResidentAdapter:
        return translate.resident(resident, aliases, self._fleet.canary_shares(resident.revision))


def _question(request: translate.Request, context: Context, kind: ContractKind | None) -> Question:
    refuse_unknown_fields(request)
    metadata = dict(context.invocation_metadata() or ())
    routed = metadata.get("x-adapter")
    if routed is not None and routed != request.prompt.adapter:
        raise invalid_field("prompt.adapter", f"differs from the metadata x-adapter, {str(routed)[:120]!r}")
    remaining = context.time_remaining()
    deadline = MAX_DEADLINE_SECONDS if remaining is None else min(remaining, MAX_DEADLINE_SECONDS)
    choice = translate.canary_choice(metadata.get("x-canary"))
    return translate.question(request, kind, max(0.0, deadline), choice)
