"""`goldsmith.trainer.v1.TrainingService`."""

from __future__ import annotations

from collections.abc import AsyncIterator

from goldsmith.trainer.v1 import training_estimate_pb2, training_job_pb2, training_service_pb2_grpc
from goldsmith.trainer.v1 import training_service_pb2 as pb
from shared.clock import Clock
from shared.names import JobName, TenantName, check_id
from shared.rpc.page import Page
from shared.rpc.request_id import check_request_id
from trainer_svc.app.estimates import Estimates
from trainer_svc.app.jobs import Jobs
from trainer_svc.service import Context
from trainer_svc.translate import estimate as translate_estimate
from trainer_svc.translate import job as translate


class TrainingServicer(training_service_pb2_grpc.TrainingServiceServicer):
    """Training jobs of a tenant."""

    def __init__(self, jobs: Jobs, estimates: Estimates, clock: Clock) -> None:
        self._jobs, self._estimates, self._clock = jobs, estimates, clock

    async def CreateTrainingJob(
        self, request: pb.CreateTrainingJobRequest, context: Context
    ) -> training_job_pb2.TrainingJob:
        """Queues a job."""
        parent = TenantName.parse(request.parent)
        name = JobName(parent.tenant, check_id(request.job_id, "job_id"))
        wanted = translate.new_job(name, request.job, self._clock.now())
        return translate.job(await self._jobs.create(wanted, check_request_id(request.request_id)))

    async def GetTrainingJob(self, request: pb.GetTrainingJobRequest, context: Context) -> training_job_pb2.TrainingJob:
        """A job."""
        return translate.job(await self._jobs.get(JobName.parse(request.name)))

    async def ListTrainingJobs(
        self, request: pb.ListTrainingJobsRequest, context: Context
    ) -> pb.ListTrainingJobsResponse:
        """One page, newest first."""
        page = Page.parse(request.page_size, request.page_token)
        found, token = await self._jobs.page(TenantName.parse(request.parent), page)
        return pb.ListTrainingJobsResponse(jobs=map(translate.job, found), next_page_token=token)

    async def CancelTrainingJob(
        self, request: pb.CancelTrainingJobRequest, context: Context
    ) -> training_job_pb2.TrainingJob:
        """Asks a job to stop."""
        return translate.job(await self._jobs.cancel(JobName.parse(request.name)))

    async def PauseTrainingJob(
        self, request: pb.PauseTrainingJobRequest, context: Context
    ) -> training_job_pb2.TrainingJob:
        """Stops a job until it is resumed."""
        return translate.job(await self._jobs.pause(JobName.parse(request.name)))

    async def ResumeTrainingJob(
        self, request: pb.ResumeTrainingJobRequest, context: Context
    ) -> training_job_pb2.TrainingJob:
        """Queues a paused job again."""
        return translate.job(await self._jobs.resume(JobName.parse(request.name)))

    async def WatchTrainingJob(
        self, request: pb.WatchTrainingJobRequest, context: Context
    ) -> AsyncIterator[training_job_pb2.TrainingEvent]:
        """History, then live events."""
        async for event in self._jobs.watch(JobName.parse(request.name), request.after_sequence):
            yield translate.event(event)

    async def EstimateTrainingJob(
        self, request: pb.EstimateTrainingJobRequest, context: Context
    ) -> training_estimate_pb2.TrainingEstimate:
        """What a job would take."""
        spec = translate.job_spec(request.job.spec)
        found, plan = await self._estimates.of_job(
            TenantName.parse(request.parent),
            request.job.dataset,
            spec,
            adapter=request.job.adapter,
            alias_id=request.job.alias_id,
            base_revision=request.job.base_revision,
            calibrate=request.calibrate,
        )
        return translate_estimate.estimate(found, plan, spec, self._estimates.price)
