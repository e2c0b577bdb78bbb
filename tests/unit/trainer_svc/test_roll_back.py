"""RollBackAlias and RollBackCanary over real stores."""

from __future__ import annotations

import pytest

from shared.adapter.canary import CanarySplit
from shared.errors import Conflict, InvalidInput, NotFound, StateConflict
from shared.names import RevisionName
from tests.unit.trainer_svc.evidence_sample import sound
from tests.unit.trainer_svc.promotion_desk import ADA, Desk
from trainer_svc.domain.promotion_record import PromotionWay


class TestRollBack:
    """The ways back."""

    def test_goes_to_what_was_meant_before(self, desk: Desk) -> None:
        """By etag, with a reason, past any policy; a further time a further step, until nothing is left."""
        jobs = [desk.finish(None) for _ in range(3)]
        desk.set_policy(is_evaluation_required=True)

        first = desk.roll_back("3")
        again = desk.roll_back("3")
        second = desk.roll_back("4")
        with pytest.raises(StateConflict, match="never meant another"):
            desk.roll_back("5")

        assert again == first
        assert [first.revision, second.revision] == [jobs[1].revision, jobs[0].revision]
        last = desk.record[-1]
        assert (last.cause.way, last.cause.actor, last.cause.reason) == (PromotionWay.ROLL_BACK_ALIAS, ADA, "slower")

    def test_ends_a_trial(self, desk: Desk) -> None:
        """What it was compared with serves no more."""
        first, second = desk.finish(sound()), desk.revision(sound())
        desk.set_alias(second)
        desk.set_alias(second, CanarySplit(desk.revision(sound()), 5))

        alias = desk.roll_back("3")

        assert (alias.revision, alias.canary) == (first.revision, None)

    def test_is_refused_without_etag_reason_or_alias(self, desk: Desk) -> None:
        """Each with its own error; a reason of a mebibyte is not kept."""
        with pytest.raises(NotFound):
            desk.roll_back("1")
        desk.finish(sound())
        with pytest.raises(Conflict):
            desk.roll_back("")
        for reason in ("", "  ", "x" * (1 << 20)):
            with pytest.raises(InvalidInput, match="reason") as caught:
                desk.roll_back("1", reason)
            assert len(str(caught.value)) < 200

    def test_of_a_canary_names_the_replica(self, desk: Desk) -> None:
        """With its figures; sent again it leaves no second entry."""
        desk.finish(sound())
        worse = desk.revision(sound())
        trial = desk.set_alias(RevisionName.parse(desk.alias.revision), CanarySplit(worse, 5))

        desk.take_back(trial)
        desk.take_back(trial)

        last = desk.record[-1]
        assert len(desk.record) == 3
        assert (last.cause.way, last.cause.actor.subject) == (PromotionWay.ROLL_BACK_CANARY, "replica-1")
        assert (last.cause.reason, last.from_canary, last.to_canary) == ("ERROR_RATE: 4 of 8", str(worse), "")
