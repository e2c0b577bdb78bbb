"""`goldsmith.trainer.v1.PreferenceService`."""

from __future__ import annotations

from goldsmith.trainer.v1 import preference_pb2, preference_service_pb2_grpc
from goldsmith.trainer.v1 import preference_service_pb2 as pb
from shared.clock import Clock
from shared.names import AdapterName, PreferenceStudyName, check_id
from shared.rpc.page import Page
from shared.rpc.request_id import check_request_id
from trainer_svc.app.preferences import PreferenceStudies
from trainer_svc.service import Context
from trainer_svc.translate import preference as translate


class PreferenceServicer(preference_service_pb2_grpc.PreferenceServiceServicer):
    """Blind comparisons of two revisions by people."""

    def __init__(self, studies: PreferenceStudies, clock: Clock) -> None:
        self._studies, self._clock = studies, clock

    async def CreatePreferenceStudy(
        self, request: pb.CreatePreferenceStudyRequest, context: Context
    ) -> preference_pb2.PreferenceStudy:
        """Draws pairs."""
        adapter = AdapterName.parse(request.parent, "parent")
        name = PreferenceStudyName(adapter.tenant, adapter.id, check_id(request.study_id, "study_id"))
        wanted = translate.new_study(name, request.study, self._clock.now())
        return translate.study(*await self._studies.create(wanted, check_request_id(request.request_id)))

    async def GetPreferenceStudy(
        self, request: pb.GetPreferenceStudyRequest, context: Context
    ) -> preference_pb2.PreferenceStudy:
        """A study, with its result once it is closed."""
        return translate.study(*await self._studies.get(PreferenceStudyName.parse(request.name)))

    async def ListPreferenceStudies(
        self, request: pb.ListPreferenceStudiesRequest, context: Context
    ) -> pb.ListPreferenceStudiesResponse:
        """One page by id."""
        page = Page.parse(request.page_size, request.page_token)
        found, token = await self._studies.page(AdapterName.parse(request.parent, "parent"), page)
        studies = [translate.study(study, progress) for study, progress in found]
        return pb.ListPreferenceStudiesResponse(studies=studies, next_page_token=token)

    async def ListPreferencePairs(
        self, request: pb.ListPreferencePairsRequest, context: Context
    ) -> pb.ListPreferencePairsResponse:
        """One page of what reviewers see."""
        page = Page.parse(request.page_size, request.page_token)
        found, token = await self._studies.pairs(PreferenceStudyName.parse(request.parent, "parent"), page)
        return pb.ListPreferencePairsResponse(pairs=map(translate.pair, found), next_page_token=token)

    async def SubmitPreferenceVerdicts(
        self, request: pb.SubmitPreferenceVerdictsRequest, context: Context
    ) -> preference_pb2.PreferenceStudy:
        """Stores a reviewer's verdicts."""
        name = PreferenceStudyName.parse(request.name)
        given = translate.verdicts(request.reviewer, request.verdicts)
        return translate.study(*await self._studies.submit(name, given))

    async def ClosePreferenceStudy(
        self, request: pb.ClosePreferenceStudyRequest, context: Context
    ) -> preference_pb2.PreferenceStudy:
        """Ends a study, and tells what came out."""
        return translate.study(*await self._studies.close(PreferenceStudyName.parse(request.name)))
