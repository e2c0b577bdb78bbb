"""Client of what training jobs measured of their adapters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from goldsmith.trainer.v1 import evaluation_pb2, evaluation_service_pb2, evaluation_service_pb2_grpc
from shared.client.channel import call, open_channel
from shared.client.credentials import Credentials

_PAGE_SIZE = 1000
_TIMEOUT_SECONDS = 30.0


class EvaluationClient:
    """Calls one trainer service; safe to share between threads. Every method raises `DomainError` subclasses."""

    def __init__(self, address: str, credentials: Credentials | None = None) -> None:
        self._channel = open_channel(address, credentials)
        self._evaluations = evaluation_service_pb2_grpc.EvaluationServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def of_job(self, name: str) -> evaluation_pb2.JobEvaluation:
        """The whole evaluation of a job that succeeded."""
        request = evaluation_service_pb2.GetJobEvaluationRequest(name=name)
        return call(self._evaluations.GetJobEvaluation, request, _TIMEOUT_SECONDS)

    def rows(self, job: str) -> Iterator[evaluation_pb2.EvaluatedRow]:
        """Every held-out row with the answers to it, the worst first; pages are fetched as they are needed."""
        token = ""
        while True:
            request = evaluation_service_pb2.ListEvaluatedRowsRequest(
                parent=job, page_size=_PAGE_SIZE, page_token=token
            )
            page = call(self._evaluations.ListEvaluatedRows, request, _TIMEOUT_SECONDS)
            yield from page.rows
            token = page.next_page_token
            if not token:
                return
