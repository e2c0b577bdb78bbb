"""Promotion over TLS, with the roles of real callers."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from goldsmith.registry.v1 import promotion_pb2 as pb
from shared.client import PromotionClient
from shared.errors import AccessDenied, Conflict, InvalidInput, NotFound, StateConflict
from tests.integration.promotion.house import Adapter
from tests.unit.trainer_svc.evidence_sample import compared, sound

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

MEBIBYTE = "x" * (1 << 20)


class TestPromotion:
    """PromoteRevision, RollBackAlias and ListPromotions."""

    async def test_is_recorded_with_who_and_why(self, adapter: Adapter) -> None:
        """Identity, reason, report and metrics, newest first, in pages."""
        first = await adapter.publish(sound())
        second = await adapter.publish(sound(first))

        one = await adapter.ask(lambda client: client.promote(first, ""))
        two = await adapter.ask(lambda client: client.promote(second, one.etag, reason="better fields"))
        back = await adapter.ask(lambda client: client.roll_back(adapter.live, two.etag, "slower"), sub="grace")
        entries = list(await adapter.ask(lambda client: list(client.promotions(adapter.name)), roles=["user"]))

        assert (one.revision, two.revision, back.revision) == (first, second, first)
        assert [entry.name for entry in entries] == [f"{adapter.name}/promotions/{number}" for number in (3, 2, 1)]
        assert [(entry.subject, list(entry.roles)) for entry in entries] == [
            ("grace", ["admin"]), ("ada", ["admin"]), ("ada", ["admin"]),
        ]  # fmt: skip
        assert [entry.reason for entry in entries] == ["slower", "better fields", ""]
        assert [(entry.from_revision, entry.to_revision) for entry in entries] == [
            (second, first), (first, second), ("", first),
        ]  # fmt: skip
        assert entries[1].report.passed
        assert entries[1].report.live_revision == first
        assert entries[1].metrics["exact_match"] == 0.8

    async def test_is_refused_with_every_reason_and_figure(self, adapter: Adapter) -> None:
        """CheckPromotion tells the same before; an override needs a reason, and is told."""
        bad = await adapter.publish(sound(against_chance=(compared(0.0),), memorised=compared(0.9)))

        report = await adapter.ask(lambda client: client.check(bad), roles=["user"])
        with pytest.raises(StateConflict) as caught:
            await adapter.ask(lambda client: client.promote(bad, ""))
        with pytest.raises(InvalidInput, match="reason"):
            await adapter.ask(lambda client: client.promote(bad, "", override=True))
        moved = await adapter.ask(lambda client: client.promote(bad, "", override=True, reason="a demo"))
        (entry,) = await adapter.ask(lambda client: list(client.promotions(adapter.name)))

        assert caught.value.reason == "PROMOTION_REFUSED"
        assert [each.path for each in caught.value.violations] == ["NO_BETTER_THAN_CHANCE", "MEMORISED"]
        stopping = [check for check in report.checks if check.reason]
        assert [f"{check.name}: {check.description}" for check in stopping] == [
            each.description for each in caught.value.violations
        ]
        assert moved.revision == bad
        assert (entry.override, entry.reason, entry.report) == (True, "a demo", report)

    async def test_of_callers_that_race_lets_one_through(self, adapter: Adapter) -> None:
        """Each saw no alias; all but one are told to look again."""
        revisions = [await adapter.publish(sound()) for _ in range(6)]

        def race() -> list[str]:
            with PromotionClient(adapter.house.trainer, adapter.house.credentials(roles=["admin"])) as client:

                def promote(revision: str) -> str:
                    try:
                        return client.promote(revision, "").revision
                    except Conflict as err:
                        return err.reason

                with ThreadPoolExecutor(len(revisions)) as threads:
                    return list(threads.map(promote, revisions))

        outcomes = await asyncio.to_thread(race)
        (entry,) = await adapter.ask(lambda client: list(client.promotions(adapter.name)))

        assert sorted(outcomes)[:5] == ["ETAG_MISMATCH"] * 5
        assert {entry.to_revision} == set(outcomes) - {"ETAG_MISMATCH"}

    async def test_is_for_those_who_may_set_aliases(self, adapter: Adapter) -> None:
        """Users read; another tenant's revision is as one that is not there, whether it is or not."""
        own = await adapter.publish(sound())

        for work in (
            lambda client: client.promote(own, ""),
            lambda client: client.roll_back(adapter.live, "1", "r"),
            lambda client: client.update_policy(pb.PromotionPolicy(name=adapter.policy)),
        ):
            with pytest.raises(AccessDenied):
                await adapter.ask(work, roles=["user"])
        told = []
        for name in (own, own.replace("/1", "/99")):
            for work in (
                lambda client, name=name: client.promote(name, ""),
                lambda client, name=name: client.check(name),
            ):
                with pytest.raises(NotFound) as caught:
                    await adapter.ask(work, tenant="globex")
                told.append(str(caught.value).replace(name, "*"))
        with pytest.raises(NotFound):
            await adapter.ask(lambda client: client.promote(own.replace("/1", "/99"), ""))

        assert len(set(told)) == 1
        assert await adapter.ask(lambda client: client.policy(adapter.policy), roles=["user"])

    @pytest.mark.parametrize(
        ("changes", "path"),
        [
            ({"canary_percent": 0}, "canary.percent"),
            ({"canary_percent": 100}, "canary.percent"),
            ({"reason": MEBIBYTE}, "reason"),
            ({"alias_id": "../x"}, "alias_id"),
        ],
        ids=["no share", "the whole", "a long reason", "no alias"],
    )
    async def test_names_the_field_that_is_wrong(self, adapter: Adapter, changes: dict[str, Any], path: str) -> None:
        """And changes nothing."""
        first, second = await adapter.publish(sound()), await adapter.publish(sound())
        alias = await adapter.ask(lambda client: client.promote(first, ""))

        with pytest.raises(InvalidInput) as caught:
            await adapter.ask(lambda client: client.promote(second, alias.etag, **changes))

        assert [each.path for each in caught.value.violations] == [path]
        assert await adapter.ask(lambda client: client.alias(adapter.live)) == alias

    async def test_takes_any_text_for_a_reason(self, adapter: Adapter) -> None:
        """Also what looks like another tenant's name: it is content, and names nothing."""
        own = await adapter.publish(sound())
        reason = "as in tenants/globex/jobs/x \u202e \x1b[31m"

        await adapter.ask(lambda client: client.promote(own, "", reason=reason))

        (entry,) = await adapter.ask(lambda client: list(client.promotions(adapter.name)))
        assert entry.reason == reason
