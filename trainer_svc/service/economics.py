"""`goldsmith.trainer.v1.EconomicsService`."""

from __future__ import annotations

from goldsmith.trainer.v1 import economics_pb2, economics_service_pb2_grpc
from goldsmith.trainer.v1 import economics_service_pb2 as pb
from shared.names import AdapterName, TenantName
from shared.rpc.page import Page
from shared.rpc.request_id import check_uuid
from shared.rpc.unknown_field import refuse_unknown_fields
from trainer_svc.app.economics import Economics
from trainer_svc.domain.usage_ledger import check_report_size
from trainer_svc.service import Context
from trainer_svc.translate import economics as translate


class EconomicsServicer(economics_service_pb2_grpc.EconomicsServiceServicer):
    """The ledger of requests and the balance of adapters."""

    def __init__(self, economics: Economics) -> None:
        self._economics = economics

    async def ReportUsage(self, request: pb.ReportUsageRequest, context: Context) -> pb.ReportUsageResponse:
        """Stores what a replica counted."""
        check_report_size(len(request.entries))  # before all of them are walked through on the loop
        refuse_unknown_fields(request)  # a counter of a newer replica would be lost
        parent, replica_id = TenantName.parse(request.parent), check_uuid(request.replica_id, "replica_id")
        await self._economics.report(parent, replica_id, translate.report(request.entries))
        return pb.ReportUsageResponse()

    async def ListUsage(self, request: pb.ListUsageRequest, context: Context) -> pb.ListUsageResponse:
        """One page by time."""
        parent, adapter = translate.usage_parent(request.parent)
        page = Page.parse(request.page_size, request.page_token)
        hours = translate.hours_of(request.grouping)
        found, token = await self._economics.usage(parent, adapter, translate.period(request), hours, page)
        records = [translate.record(parent, each) for each in found]
        return pb.ListUsageResponse(records=records, next_page_token=token)

    async def GetSavings(self, request: pb.GetSavingsRequest, context: Context) -> economics_pb2.Savings:
        """The balance of an adapter."""
        refuse_unknown_fields(request)
        name = AdapterName.parse(request.name)
        revision = translate.revision_of(name, request.revision)
        operator = self._economics.prices
        prices = translate.what_if(request.prices, operator.tokens)
        found = await self._economics.savings(name, revision, translate.period(request), prices)
        return translate.savings(
            name, revision, found, currency=operator.currency, is_what_if=prices != operator.tokens
        )
