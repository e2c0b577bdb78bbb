"""What every client has in common."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from goldsmith.registry.v1 import promotion_pb2
from goldsmith.registry.v1 import promotion_service_pb2 as pb
from shared.client import EconomicsClient, InferenceClient, PromotionClient, TrainerClient
from shared.client.base import PAGE_SIZE, ServiceClient, pages
from shared.client.evaluation import EvaluationClient

CLIENTS = (EconomicsClient, EvaluationClient, InferenceClient, PromotionClient, TrainerClient)


@dataclass
class Listing:
    """An RPC with three pages of promotions; keeps what it was asked."""

    asked: list[pb.ListPromotionsRequest] = field(default_factory=list)

    def __call__(self, request: pb.ListPromotionsRequest, **_: object) -> pb.ListPromotionsResponse:
        """One page of one."""
        self.asked.append(request)
        number = int(request.page_token or "1")
        rows = [promotion_pb2.Promotion(reason=str(number))]
        return pb.ListPromotionsResponse(promotions=rows, next_page_token=str(number + 1) if number < 3 else "")


class TestPages:
    """Lists of several pages."""

    def test_are_read_to_their_end_as_they_are_needed(self) -> None:
        """Each is asked for with the token of the one before, and none ahead."""
        listing = Listing()
        found = pages(listing, lambda token: pb.ListPromotionsRequest(page_token=token))

        assert next(found).promotions[0].reason == "1"
        assert len(listing.asked) == 1
        assert [page.promotions[0].reason for page in found] == ["2", "3"]
        assert [request.page_token for request in listing.asked] == ["", "2", "3"]

    def test_of_promotions_are_as_large_as_they_may_be(self) -> None:
        """A long record takes few calls."""
        with PromotionClient("127.0.0.1:1") as client:
            listing = Listing()
            client._promotion.ListPromotions = listing
            list(client.promotions("tenants/acme/adapters/a"))

        assert {request.page_size for request in listing.asked} == {PAGE_SIZE}


class TestServiceClient:
    """The channel of a client."""

    @pytest.mark.parametrize("kind", CLIENTS)
    def test_is_closed_with_the_block(self, kind: type[ServiceClient]) -> None:
        """Of each client; a call afterwards is an error of ours."""
        with kind("127.0.0.1:1") as client:
            pass

        with pytest.raises(ValueError, match="closed channel"):
            client._channel.unary_unary("/any")(b"")
