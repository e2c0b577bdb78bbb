"""Preference studies: how verdicts come in, and what they come to."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from shared.errors import Exhausted, InvalidInput, StateConflict
from shared.names import PreferenceStudyName, RevisionName
from tests.unit.trainer_svc.preference.house import COUNT, NAME, House
from tests.unit.trainer_svc.preference_sample import ADAPTER, STUDY
from trainer_svc.domain.comparison import Verdict
from trainer_svc.domain.preference import MAX_REVIEWERS, Choice, PreferencePair, PreferenceVerdict
from trainer_svc.domain.registry import Revision
from trainer_svc.store import preference, shelf
from trainer_svc.store.codec import dump, load

Transact = Callable[[Callable[..., Any]], Any]


def _for_b(pair: PreferencePair) -> Choice:
    return Choice.RIGHT if pair.is_a_left else Choice.LEFT


class TestSubmit:
    """`PreferenceStudies.submit`."""

    def test_counts_verdicts_by_reviewer_and_pair(self, house: House) -> None:
        """Progress is told while the study is open, and no figure."""
        house.create()
        ada, bob = house.verdicts("Ada", _for_b), house.verdicts("Bob", _for_b)
        house.submit(*ada)

        study, progress = asyncio.run(house.studies.submit(NAME, bob[:3]))

        assert (progress.judged_pair_count, progress.verdict_counts) == (COUNT, {"Ada": COUNT, "Bob": 3})
        assert study.result is None

    def test_keeps_a_reviewers_last_word(self, house: House) -> None:
        """The same again changes nothing; another verdict takes the place of the first, and no other reviewer's."""
        house.create()
        first, *_ = house.verdicts("Ada", lambda _: Choice.LEFT)
        other = dataclasses.replace(first, reviewer="Bob")
        changed = dataclasses.replace(first, choice=Choice.BOTH_BAD, comment="neither names the city")

        counts = [house.submit(one) for one in (first, first, other, changed)]

        assert counts == [{"Ada": 1}, {"Ada": 1}, {"Ada": 1, "Bob": 1}, {"Ada": 1, "Bob": 1}]
        stored = asyncio.run(house.database.run(lambda c: preference.list_verdicts(c, NAME)))
        assert stored == [changed, other]

    def test_refuses_pairs_that_are_not_the_studys(self, house: House) -> None:
        """Another study's too, though it shows the same rows; all or nothing is stored, and all faults are named."""
        house.create()
        other = PreferenceStudyName("acme", "a", "other")
        house.create(name=str(other))
        foreign = PreferenceVerdict(house.pairs(other)[0].id, "Ada", Choice.LEFT)
        own = PreferenceVerdict(house.pairs()[0].id, "Ada", Choice.LEFT)

        with pytest.raises(InvalidInput) as caught:
            house.submit(foreign, own, PreferenceVerdict("../x\x00", "Ada", Choice.LEFT))

        assert [fault.path for fault in caught.value.violations] == ["verdicts[0].pair", "verdicts[2].pair"]
        assert asyncio.run(house.studies.get(NAME))[1].verdict_counts == {}

    def test_takes_a_limited_number_of_reviewers(self, house: House) -> None:
        """One too many leaves nothing behind; those who are known may go on."""
        house.create()
        first, second, *_ = house.pairs()
        for number in range(MAX_REVIEWERS):
            house.submit(PreferenceVerdict(first.id, f"r{number}", Choice.LEFT))

        with pytest.raises(Exhausted) as caught:
            house.submit(PreferenceVerdict(first.id, "another", Choice.LEFT))

        assert caught.value.metadata == {"quota": "reviewers", "limit": str(MAX_REVIEWERS)}
        assert house.submit(PreferenceVerdict(second.id, "r0", Choice.LEFT))["r0"] == 2

    def test_loses_nothing_of_reviewers_who_submit_at_once(self, house: House) -> None:
        """Nor of one who submits in parts."""
        house.create()
        given = [house.verdicts(reviewer, _for_b) for reviewer in ("Ada", "Bob", "Cyd")]

        async def all_at_once() -> None:
            parts = (part for own in given for part in (own[:5], own[5:], own[3:8]))
            await asyncio.gather(*(house.studies.submit(NAME, part) for part in parts))

        asyncio.run(all_at_once())

        assert asyncio.run(house.studies.get(NAME))[1].verdict_counts == dict.fromkeys(("Ada", "Bob", "Cyd"), COUNT)


class TestClose:
    """`PreferenceStudies.close`."""

    def test_tells_what_came_out_and_adds_it_to_both_revisions(self, house: House, transact: Transact) -> None:
        """From either side, with the study's name."""
        house.create()
        house.submit(*house.verdicts("Ada", _for_b))

        closed = house.close()

        assert closed.result is not None
        assert (closed.result.a, closed.result.b, closed.result.verdict) == (0, COUNT, Verdict.BETTER)
        assert closed.close_time == house.clock.now()
        told = [transact(lambda c: shelf.get_revision(c, RevisionName("acme", "a", n))).preferences for n in (1, 2)]  # noqa: B023  # run at once
        assert [[(one.study, one.other_revision, one.rate) for one in each] for each in told] == [
            [(STUDY, f"{ADAPTER}/revisions/2", 0.0)],
            [(STUDY, f"{ADAPTER}/revisions/1", 1.0)],
        ]

    def test_leaves_the_package_as_it_is(self, house: House, transact: Transact) -> None:
        """What is added to a revision is what people said, and nothing else."""
        before = transact(lambda c: shelf.get_revision(c, RevisionName("acme", "a", 2)))
        house.create()

        house.close()

        after = transact(lambda c: shelf.get_revision(c, RevisionName("acme", "a", 2)))
        assert dataclasses.replace(after, preferences=()) == before

    def test_happens_once(self, house: House, transact: Transact) -> None:
        """Closing again, even at the same time, changes and adds nothing."""
        house.create()
        house.submit(*house.verdicts("Ada", _for_b))

        async def twice() -> list[Any]:
            return await asyncio.gather(house.studies.close(NAME), house.studies.close(NAME))

        first, second = asyncio.run(twice())
        house.clock.advance(5.0)

        assert first == second == asyncio.run(house.studies.close(NAME))
        assert len(transact(lambda c: shelf.get_revision(c, RevisionName("acme", "a", 1))).preferences) == 1

    def test_ends_the_taking_of_verdicts(self, house: House) -> None:
        """A late one is refused, and the result stays."""
        house.create()
        verdicts = house.verdicts("Ada", _for_b)
        closed = house.close()

        with pytest.raises(StateConflict, match="closed"):
            house.submit(*verdicts)

        assert asyncio.run(house.studies.get(NAME)) == (closed, asyncio.run(house.studies.get(NAME))[1])
        assert asyncio.run(house.studies.get(NAME))[1].judged_pair_count == 0

    def test_several_studies_of_a_revision_are_all_told(self, house: House, transact: Transact) -> None:
        """In the order in which they were closed."""
        names = [PreferenceStudyName("acme", "a", own) for own in ("z", "b")]
        for name in names:
            house.create(name=str(name))
            asyncio.run(house.studies.close(name))

        told = transact(lambda c: shelf.get_revision(c, RevisionName("acme", "a", 1))).preferences
        assert [one.study for one in told] == [str(name) for name in names]


class TestStoredRevision:
    """Revisions of earlier releases."""

    def test_have_no_preferences(self, house: House, transact: Transact) -> None:
        """A row without the field is read as one that nobody compared."""
        revision = transact(lambda c: shelf.get_revision(c, RevisionName("acme", "a", 1)))

        assert load(Revision, dump(revision, without={"preferences"})) == revision
