"""Client of what training jobs measured of their adapters."""

from __future__ import annotations

from collections.abc import Iterator

from goldsmith.trainer.v1 import evaluation_pb2, evaluation_service_pb2, evaluation_service_pb2_grpc
from shared.client.base import PAGE_SIZE, ServiceClient, pages
from shared.client.channel import call
from shared.client.credentials import Credentials

_TIMEOUT_SECONDS = 30.0


class EvaluationClient(ServiceClient):
    """Calls one trainer service; safe to share between threads. Every method raises `DomainError` subclasses."""

    def __init__(self, address: str, credentials: Credentials | None = None) -> None:
        super().__init__(address, credentials)
        self._evaluations = evaluation_service_pb2_grpc.EvaluationServiceStub(self._channel)

    def of_job(self, name: str) -> evaluation_pb2.JobEvaluation:
        """The whole evaluation of a job that succeeded."""
        request = evaluation_service_pb2.GetJobEvaluationRequest(name=name)
        return call(self._evaluations.GetJobEvaluation, request, _TIMEOUT_SECONDS)

    def rows(self, job: str) -> Iterator[evaluation_pb2.EvaluatedRow]:
        """Every held-out row with the answers to it, the worst first; pages are fetched as they are needed."""
        for page in pages(
            self._evaluations.ListEvaluatedRows,
            lambda token: evaluation_service_pb2.ListEvaluatedRowsRequest(
                parent=job, page_size=PAGE_SIZE, page_token=token
            ),
        ):
            yield from page.rows
