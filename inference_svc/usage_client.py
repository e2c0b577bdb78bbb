"""Reports usage to the trainer over gRPC."""

from __future__ import annotations

import grpc

from goldsmith.trainer.v1 import economics_pb2, economics_service_pb2, economics_service_pb2_grpc
from inference_svc.domain.ledger import UsageEntry
from shared.names import TenantName
from shared.rpc.canary_message import timestamp_of
from shared.rpc.status import from_rpc_error
from shared.rpc.usage_message import counts_message
from shared.usage import hour_begin

_TIMEOUT_SECONDS = 15.0


class GrpcUsageReader:
    """Implements `UsageReader`. A trainer of an earlier release, which knows no ledger, counts as one that is away."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._economics = economics_service_pb2_grpc.EconomicsServiceStub(channel)

    async def report(self, replica_id: str, parent: TenantName, entries: list[UsageEntry]) -> None:
        """As the protocol says."""
        request = economics_service_pb2.ReportUsageRequest(
            parent=str(parent), replica_id=replica_id, entries=map(_message, entries)
        )
        try:
            await self._economics.ReportUsage(request, timeout=_TIMEOUT_SECONDS)
        except grpc.RpcError as err:
            raise from_rpc_error(err) from err


def _message(entry: UsageEntry) -> economics_pb2.UsageEntry:
    return economics_pb2.UsageEntry(
        adapter_id=entry.key.adapter,
        revision_number=entry.key.revision,
        hour_time=timestamp_of(hour_begin(entry.key.hour)),
        sequence=entry.sequence,
        counts=counts_message(entry.counts),
    )
