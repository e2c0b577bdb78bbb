"""Client of promotion: policies, checks, promotions, roll backs and the audit record."""

from __future__ import annotations

from collections.abc import Iterator

from goldsmith.registry.v1 import (
    adapter_pb2,
    promotion_pb2,
    promotion_service_pb2_grpc,
    registry_service_pb2,
    registry_service_pb2_grpc,
)
from goldsmith.registry.v1 import promotion_service_pb2 as pb
from shared.adapter.canary import RollbackPolicy
from shared.client.base import PAGE_SIZE, ServiceClient, pages
from shared.client.channel import call
from shared.client.credentials import Credentials
from shared.names import AliasName
from shared.rpc.canary_message import rollback_policy_message

_TIMEOUT_SECONDS = 30.0


class PromotionClient(ServiceClient):
    """Calls one trainer service; safe to share between threads. Every method raises `DomainError` subclasses."""

    def __init__(self, address: str, credentials: Credentials | None = None) -> None:
        super().__init__(address, credentials)
        self._promotion = promotion_service_pb2_grpc.PromotionServiceStub(self._channel)
        self._registry = registry_service_pb2_grpc.RegistryServiceStub(self._channel)

    def alias(self, name: str) -> adapter_pb2.AdapterAlias | None:
        """An alias as it stands, None where there is none; its etag is what `promote` and `roll_back` ask for."""
        parent = str(AliasName.parse(name).adapter_name)
        every = pages(
            self._registry.ListAliases,
            lambda token: registry_service_pb2.ListAliasesRequest(parent=parent, page_size=PAGE_SIZE, page_token=token),
        )
        return next((alias for page in every for alias in page.aliases if alias.name == name), None)

    def policy(self, name: str) -> promotion_pb2.PromotionPolicy:
        """The policy of `tenants/{tenant}/adapters/{adapter}/promotionPolicy`; the default where none is stored."""
        return call(self._promotion.GetPromotionPolicy, pb.GetPromotionPolicyRequest(name=name), _TIMEOUT_SECONDS)

    def update_policy(self, policy: promotion_pb2.PromotionPolicy) -> promotion_pb2.PromotionPolicy:
        """Replaces the policy that it names; a non-empty etag must match."""
        request = pb.UpdatePromotionPolicyRequest(policy=policy)
        return call(self._promotion.UpdatePromotionPolicy, request, _TIMEOUT_SECONDS)

    def check(self, revision: str, alias_id: str = "live") -> promotion_pb2.PromotionReport:
        """The report that `promote` would go by now."""
        request = pb.CheckPromotionRequest(name=revision, alias_id=alias_id)
        return call(self._promotion.CheckPromotion, request, _TIMEOUT_SECONDS)

    def promote(
        self, revision: str, etag: str, *, alias_id: str = "live", canary_percent: int | None = None,
        rollback: RollbackPolicy | None = None, reason: str = "", override: bool = False,
    ) -> adapter_pb2.AdapterAlias:  # fmt: skip
        """Points an alias at a revision, or with `canary_percent` gives it a share of the alias's requests.

        `etag` is that of the alias as the caller saw it, empty where there was none.
        """
        policy = rollback_policy_message(rollback) if rollback is not None else None
        trial = promotion_pb2.CanaryTrial(percent=canary_percent, rollback_policy=policy)
        request = pb.PromoteRevisionRequest(
            name=revision, alias_id=alias_id, etag=etag, canary=trial if canary_percent is not None else None,
            reason=reason, override=override,
        )  # fmt: skip
        return call(self._promotion.PromoteRevision, request, _TIMEOUT_SECONDS)

    def roll_back(self, alias: str, etag: str, reason: str) -> adapter_pb2.AdapterAlias:
        """Points an alias at the revision that it meant before."""
        request = pb.RollBackAliasRequest(name=alias, etag=etag, reason=reason)
        return call(self._promotion.RollBackAlias, request, _TIMEOUT_SECONDS)

    def promotions(self, parent: str) -> Iterator[promotion_pb2.Promotion]:
        """The record of `tenants/{tenant}/adapters/{adapter}`, newest first."""
        for page in pages(
            self._promotion.ListPromotions,
            lambda token: pb.ListPromotionsRequest(parent=parent, page_size=PAGE_SIZE, page_token=token),
        ):
            yield from page.promotions
