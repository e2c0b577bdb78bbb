"""SetAlias over real stores, where there may be a policy."""

from __future__ import annotations

import dataclasses

from shared.adapter.canary import CanarySplit
from tests.unit.trainer_svc.evidence_sample import sound
from tests.unit.trainer_svc.promotion_desk import ADA, BAD, Desk, refused
from trainer_svc.domain.promotion_record import PromotionWay


class TestSetAlias:
    """The older way, beside a policy."""

    def test_is_free_without_a_stored_policy(self, desk: Desk) -> None:
        """The record has the report all the same."""
        bad = desk.revision(sound(**BAD))

        desk.set_alias(bad)

        (entry,) = desk.record
        assert (entry.cause.way, entry.cause.actor, entry.cause.is_override) == (PromotionWay.SET_ALIAS, ADA, False)
        assert entry.cause.report is not None
        assert not entry.cause.report.passed

    def test_obeys_a_stored_policy(self, desk: Desk) -> None:
        """For revisions and for canaries, and for a canary that is promoted; the way back stays free."""
        old, good = desk.revision(sound(**BAD)), desk.revision(sound())
        bad = desk.revision(sound(str(good), **BAD))
        desk.set_alias(old)
        desk.set_alias(good)
        trial = CanarySplit(bad, 5)
        begun = desk.set_alias(good, trial)
        desk.set_policy()

        assert refused(lambda: desk.set_alias(bad)) == {"NO_BETTER_THAN_CHANCE"}
        assert desk.set_alias(good, dataclasses.replace(trial, percent=1)).version == begun.version + 1
        desk.set_alias(good)
        assert refused(lambda: desk.set_alias(good, trial)) == {"NO_BETTER_THAN_CHANCE"}
        assert desk.set_alias(old).revision == str(old)

    def test_leaves_no_entry_where_nothing_moves(self, desk: Desk) -> None:
        """The same again is no move."""
        own = desk.revision(sound())

        assert desk.set_alias(own) == desk.set_alias(own)

        assert len(desk.record) == 1
