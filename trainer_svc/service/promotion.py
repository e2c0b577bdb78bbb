"""`goldsmith.registry.v1.PromotionService`."""

from __future__ import annotations

from goldsmith.registry.v1 import adapter_pb2, promotion_pb2, promotion_service_pb2_grpc
from goldsmith.registry.v1 import promotion_service_pb2 as pb
from shared.names import AdapterName, AliasName, PromotionPolicyName, RevisionName
from shared.rpc.page import Page
from trainer_svc.app.promotions import Promotions
from trainer_svc.service import Context
from trainer_svc.service.actor import caller
from trainer_svc.translate import promotion as translate
from trainer_svc.translate.registry import alias as alias_message


class PromotionServicer(promotion_service_pb2_grpc.PromotionServiceServicer):
    """Policies, promotions and their record."""

    def __init__(self, promotions: Promotions) -> None:
        self._promotions = promotions

    async def GetPromotionPolicy(
        self, request: pb.GetPromotionPolicyRequest, context: Context
    ) -> promotion_pb2.PromotionPolicy:
        """The policy of an adapter."""
        adapter = PromotionPolicyName.parse(request.name).adapter_name
        return translate.policy_message(adapter, await self._promotions.policy(adapter))

    async def UpdatePromotionPolicy(
        self, request: pb.UpdatePromotionPolicyRequest, context: Context
    ) -> promotion_pb2.PromotionPolicy:
        """Replaces it."""
        adapter = PromotionPolicyName.parse(request.policy.name, "policy.name").adapter_name
        wanted = translate.policy_of(request.policy)
        return translate.policy_message(
            adapter, await self._promotions.update_policy(adapter, wanted, request.policy.etag)
        )

    async def CheckPromotion(
        self, request: pb.CheckPromotionRequest, context: Context
    ) -> promotion_pb2.PromotionReport:
        """What a promotion would be held to."""
        name, alias_id = RevisionName.parse(request.name), translate.alias_id_of(request.alias_id)
        return translate.report_message(await self._promotions.check(name, alias_id))

    async def PromoteRevision(self, request: pb.PromoteRevisionRequest, context: Context) -> adapter_pb2.AdapterAlias:
        """Moves an alias to a revision, or puts it on trial there."""
        return alias_message(await self._promotions.promote(translate.wish_of(request), caller()))

    async def RollBackAlias(self, request: pb.RollBackAliasRequest, context: Context) -> adapter_pb2.AdapterAlias:
        """Moves an alias back."""
        name = AliasName.parse(request.name)
        return alias_message(await self._promotions.roll_back(name, request.etag, request.reason, caller()))

    async def ListPromotions(self, request: pb.ListPromotionsRequest, context: Context) -> pb.ListPromotionsResponse:
        """One page of the record, newest first."""
        page = Page.parse(request.page_size, request.page_token)
        found, token = await self._promotions.page(AdapterName.parse(request.parent, "parent"), page)
        return pb.ListPromotionsResponse(promotions=map(translate.promotion_message, found), next_page_token=token)
