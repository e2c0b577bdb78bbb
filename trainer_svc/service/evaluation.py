"""`goldsmith.trainer.v1.EvaluationService`."""

from __future__ import annotations

from goldsmith.trainer.v1 import evaluation_pb2, evaluation_service_pb2_grpc
from goldsmith.trainer.v1 import evaluation_service_pb2 as pb
from shared.names import JobName
from shared.rpc.page import Page
from trainer_svc.app.evaluations import Evaluations
from trainer_svc.service import Context
from trainer_svc.translate import evaluation as translate


class EvaluationServicer(evaluation_service_pb2_grpc.EvaluationServiceServicer):
    """What training jobs measured of their adapters."""

    def __init__(self, evaluations: Evaluations) -> None:
        self._evaluations = evaluations

    async def GetJobEvaluation(
        self, request: pb.GetJobEvaluationRequest, context: Context
    ) -> evaluation_pb2.JobEvaluation:
        """The whole evaluation."""
        return translate.job_evaluation(*await self._evaluations.of_job(JobName.parse(request.name)))

    async def ListEvaluatedRows(
        self, request: pb.ListEvaluatedRowsRequest, context: Context
    ) -> pb.ListEvaluatedRowsResponse:
        """One page, the worst answers first."""
        page = Page.parse(request.page_size, request.page_token)
        found, token = await self._evaluations.rows(JobName.parse(request.parent, "parent"), page)
        return pb.ListEvaluatedRowsResponse(rows=map(translate.evaluated_row, found), next_page_token=token)
