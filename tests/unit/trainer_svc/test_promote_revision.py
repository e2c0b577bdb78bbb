"""PromoteRevision over real stores."""

from __future__ import annotations

import asyncio

import pytest

from shared.adapter.canary import RollbackPolicy
from shared.errors import Conflict, InvalidInput, StateConflict
from shared.names import RevisionName
from tests.unit.trainer_svc.evidence_sample import sound
from tests.unit.trainer_svc.promotion_desk import ADA, BAD, Desk, die, refused
from trainer_svc.app.promotions import PromotionWish
from trainer_svc.domain.promotion_policy import Threshold
from trainer_svc.store import promotion_log, shelf


class TestPromoteRevision:
    """What a caller may move."""

    def test_refuses_what_fails_and_obeys_an_override(self, desk: Desk) -> None:
        """Which needs a reason, and is told in the record with the report."""
        bad = desk.revision(sound(**BAD))

        assert refused(lambda: desk.promote(bad, "")) == {"NO_BETTER_THAN_CHANCE"}
        with pytest.raises(InvalidInput, match="reason"):
            desk.promote(bad, "", is_override=True, reason=" ")
        desk.promote(bad, "", is_override=True, reason="a demonstration")

        (entry,) = desk.record
        assert (entry.cause.actor, entry.cause.reason, entry.cause.is_override) == (ADA, "a demonstration", True)
        assert entry.cause.report is not None
        assert not entry.cause.report.passed

    def test_an_override_that_was_not_needed_is_none(self, desk: Desk) -> None:
        """The record does not cry wolf."""
        desk.promote(desk.revision(sound()), "", is_override=True, reason="to be sure")

        assert not desk.record[0].cause.is_override

    def test_moves_nothing_that_is_not_recorded(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        """The alias, its change for those who watch, and the entry are one transaction."""
        own = desk.revision(sound())
        with monkeypatch.context() as patch:
            patch.setattr(promotion_log, "add_promotion", die)
            for move in (lambda: desk.promote(own, ""), lambda: desk.set_alias(own), lambda: desk.finish(sound())):
                with pytest.raises(MemoryError):
                    move()

        assert (desk.alias, desk(lambda c: shelf.alias_changes_after(c, 0)), desk.record) == (None, [], [])

    def test_asks_for_the_etag(self, desk: Desk) -> None:
        """Of the alias as it was seen; empty where none was."""
        first, second = desk.revision(sound()), desk.revision(sound())

        with pytest.raises(Conflict):
            desk.promote(first, "1")
        alias = desk.promote(first, "")
        for etag in ("", "0", "2", "x"):
            with pytest.raises(Conflict) as caught:
                desk.promote(second, etag, is_override=True, reason="r")
            assert caught.value.metadata["etag"] == str(alias.version)

        assert len(desk.record) == 1

    def test_sent_again_changes_nothing_more(self, desk: Desk) -> None:
        """The client repeats calls whose answers were lost."""
        first, second = desk.revision(sound()), desk.revision(sound())
        alias = desk.promote(first, "")
        trial = {"is_override": True, "reason": "r", "canary_percent": 5}

        assert desk.promote(first, "") == alias
        begun = desk.promote(second, "1", **trial)
        assert desk.promote(second, "1", **trial) == begun
        with pytest.raises(Conflict):
            desk.promote(second, "1", **{**trial, "canary_percent": 6})

        assert len(desk.record) == 2

    def test_of_two_that_race_one_wins(self, desk: Desk) -> None:
        """The other is told to look again, and leaves no entry."""
        names = [desk.revision(sound()) for _ in range(8)]
        wishes = [PromotionWish(each, "live", "", None, RollbackPolicy(), "", is_override=False) for each in names]

        async def race() -> list[object]:
            calls = (desk._promotions.promote(wish, ADA) for wish in wishes)
            return await asyncio.gather(*calls, return_exceptions=True)

        outcomes = asyncio.run(race())

        assert sorted(type(each).__name__ for each in outcomes) == ["Alias", *["Conflict"] * 7]
        assert len(desk.record) == 1

    def test_sets_a_canary(self, desk: Desk) -> None:
        """Beside the revision that the alias means, and beside no other."""
        first = desk.finish(sound())
        second = desk.revision(sound(first.revision))

        alias = desk.promote(second, "1", canary_percent=10)

        assert alias.canary is not None
        assert (alias.revision, alias.canary.revision, alias.canary.percent) == (first.revision, second, 10)
        with pytest.raises(InvalidInput, match=r"canary\.revision"):
            desk.promote(RevisionName.parse(first.revision), "2", canary_percent=10)
        with pytest.raises(StateConflict, match="means no revision yet"):
            desk.promote(second, "", alias_id="other", canary_percent=10)

    @pytest.mark.parametrize("percent", [0, 100, -1, 2**31 - 1])
    def test_refuses_what_is_no_share(self, desk: Desk, percent: int) -> None:
        """A canary has from 1 to 99 percent."""
        desk.finish(sound())

        with pytest.raises(InvalidInput, match=r"canary\.percent"):
            desk.promote(desk.revision(sound()), "1", canary_percent=percent)

    def test_takes_a_revision_that_the_alias_meant_before(self, desk: Desk) -> None:
        """The way back is never barred, not by a policy that came later either."""
        first, second = desk.finish(sound()), desk.revision(None)
        desk.promote(second, "1")
        desk.set_policy(thresholds=(Threshold("rouge_l", 0.9),))

        assert desk.promote(RevisionName.parse(first.revision), "2").revision == first.revision
        assert refused(lambda: desk.promote(desk.revision(sound()), "3")) == {"NOT_EVALUATED", "NOT_COMPARED"}
