"""Client of the trainer's ledger: what requests cost and saved, and what adapters are worth."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from google.protobuf import timestamp_pb2

from goldsmith.trainer.v1 import economics_pb2, economics_service_pb2, economics_service_pb2_grpc
from shared.client.base import PAGE_SIZE, ServiceClient, pages
from shared.client.channel import call
from shared.client.credentials import Credentials
from shared.rpc.canary_message import timestamp_of

_TIMEOUT_SECONDS = 30.0


class EconomicsClient(ServiceClient):
    """Calls one trainer service; safe to share between threads. Every method raises `DomainError` subclasses.

    A period is of hours that begin at `start` or later and before `end`; both need a time zone, None is open.
    """

    def __init__(self, address: str, credentials: Credentials | None = None) -> None:
        super().__init__(address, credentials)
        self._economics = economics_service_pb2_grpc.EconomicsServiceStub(self._channel)

    def usage(
        self,
        parent: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        grouping: economics_pb2.UsageGrouping.ValueType = economics_pb2.USAGE_GROUPING_DAY,
    ) -> Iterator[economics_pb2.UsageRecord]:
        """What was counted for `tenants/{tenant}` or one adapter of it, by time, adapter and revision."""
        for page in pages(
            self._economics.ListUsage,
            lambda token: economics_service_pb2.ListUsageRequest(
                parent=parent,
                start_time=_stamp(start),
                end_time=_stamp(end),
                grouping=grouping,
                page_size=PAGE_SIZE,
                page_token=token,
            ),
        ):
            yield from page.records

    def savings(
        self,
        name: str,
        *,
        revision: str = "",
        start: datetime | None = None,
        end: datetime | None = None,
        prices: economics_pb2.TokenPrices | None = None,
    ) -> economics_pb2.Savings:
        """The balance of an adapter, or of one revision of it; `prices` stand in for the operator's: what if."""
        request = economics_service_pb2.GetSavingsRequest(
            name=name, revision=revision, start_time=_stamp(start), end_time=_stamp(end), prices=prices
        )
        return call(self._economics.GetSavings, request, _TIMEOUT_SECONDS)


def _stamp(moment: datetime | None) -> timestamp_pb2.Timestamp | None:
    return None if moment is None else timestamp_of(moment)
