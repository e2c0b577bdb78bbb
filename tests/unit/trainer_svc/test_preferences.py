"""Preference studies over real stores: what callers may do, and what others cannot."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.errors import AlreadyExists, Exhausted, InvalidInput, NotFound, StateConflict
from shared.names import AdapterName, PreferenceStudyName, RevisionName
from shared.rpc.page import Page
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from tests.unit.trainer_svc.preference_sample import ADAPTER, STUDY, answered, published, wanted
from trainer_svc.app.preferences import PreferenceStudies
from trainer_svc.domain.comparison import Verdict
from trainer_svc.domain.preference import MAX_REVIEWERS, Choice, PreferencePair, PreferenceStudy, PreferenceVerdict
from trainer_svc.domain.registry import Revision
from trainer_svc.store import preference, shelf
from trainer_svc.store.codec import dump, load
from trainer_svc.store.database import Database

Transact = Callable[[Callable[..., Any]], Any]
NAME = PreferenceStudyName.parse(STUDY)
REQUEST_ID = "7f4d1c52-58a5-4f6d-9a3c-0d9a4a8f3b11"
COUNT = 12
ALL = Page(1000, "")


@dataclasses.dataclass
class House:
    """Two revisions that answered 13 rows, one of them alike, and the studies of them."""

    database: Database
    blobs: LocalBlobStore
    clock: ManualClock

    def __post_init__(self) -> None:
        self.studies = PreferenceStudies(self.database, self.blobs, self.clock)
        for side in "ab":
            self.publish([*(f"{side}{n}" for n in range(COUNT)), "same"], side)

    def publish(self, answers: list[str], job: str) -> None:
        """The adapter's next revision."""
        rows = answered(answers)
        asyncio.run(self.database.run(lambda c: published(c, self.blobs, rows, self.clock.now(), job)))

    def create(self, request_id: str = "", **changes: Any) -> PreferenceStudy:
        """A study of revision 2 over revision 1."""
        asked = dataclasses.replace(wanted(self.clock.now()), **changes)
        return asyncio.run(self.studies.create(asked, request_id))[0]

    def pairs(self, name: PreferenceStudyName = NAME) -> list[PreferencePair]:
        """All of them."""
        return asyncio.run(self.studies.pairs(name, ALL))[0]

    def verdicts(self, reviewer: str, choose: Callable[[PreferencePair], Choice]) -> list[PreferenceVerdict]:
        """On every pair."""
        return [PreferenceVerdict(pair.id, reviewer, choose(pair)) for pair in self.pairs()]

    def submit(self, *verdicts: PreferenceVerdict, name: PreferenceStudyName = NAME) -> dict[str, int]:
        """How far every reviewer is then."""
        return asyncio.run(self.studies.submit(name, verdicts))[1].verdict_counts

    def close(self) -> PreferenceStudy:
        """The study with its result."""
        return asyncio.run(self.studies.close(NAME))[0]


@pytest.fixture
def house(database: Database, clock: ManualClock, tmp_path: Path) -> House:
    """Nothing was asked for yet."""
    return House(database, LocalBlobStore(tmp_path / "blobs"), clock)


def _for_b(pair: PreferencePair) -> Choice:
    return Choice.RIGHT if pair.is_a_left else Choice.LEFT


class TestCreate:
    """`PreferenceStudies.create`."""

    def test_draws_from_what_both_answered_differently(self, house: House) -> None:
        """The row that both answered alike is counted, and shown to nobody."""
        made = house.create()

        assert (made.common_row_count, made.equal_row_count, made.pair_count) == (COUNT + 1, 1, COUNT)
        assert sorted(pair.answer_a for pair in house.pairs()) == sorted(f"a{n}" for n in range(COUNT))
        assert asyncio.run(house.studies.get(NAME))[0] == made

    def test_draws_no_more_than_is_wanted(self, house: House) -> None:
        """Which the study tells."""
        assert house.create(max_pairs=5).pair_count == len(house.pairs()) == 5

    def test_draws_other_sides_for_the_same_seed(self, house: House) -> None:
        """The secret is the server's, drawn anew for each study: nobody who knows the request knows the sides."""
        names = [PreferenceStudyName("acme", "a", f"s{n}") for n in range(6)]
        for name in names:
            house.create(name=str(name))
        sides = {tuple(sorted((pair.input, pair.is_a_left) for pair in house.pairs(name))) for name in names}

        assert len(sides) == len(names)

    def test_is_idempotent_by_request_id(self, house: House) -> None:
        """The same request again is answered with the same study, and draws nothing."""
        first, pairs = house.create(REQUEST_ID), house.pairs()
        house.clock.advance(5.0)

        assert house.create(REQUEST_ID) == first
        assert house.pairs() == pairs
        with pytest.raises(InvalidInput) as caught:
            house.create(REQUEST_ID, seed=1)
        assert caught.value.reason == "REQUEST_ID_REUSED"
        with pytest.raises(AlreadyExists):
            house.create()

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"max_pairs": 0}, "study.max_pairs"),
            ({"max_pairs": -1}, "study.max_pairs"),
            ({"max_pairs": 1001}, "study.max_pairs"),
            ({"revision_a": ""}, "study.revision_a"),
            ({"revision_b": f"{ADAPTER}/revisions/1"}, "study.revision_b"),
            ({"revision_b": "tenants/acme/adapters/b/revisions/1"}, "study.revision_b"),
            ({"revision_a": "tenants/globex/adapters/a/revisions/1"}, "study.revision_a"),
        ],
    )
    def test_says_what_is_wrong(self, house: House, changes: dict[str, Any], field: str) -> None:
        """By its place in the request."""
        with pytest.raises(InvalidInput) as caught:
            house.create(**changes)

        assert caught.value.violations[0].path == field

    def test_needs_revisions_that_exist(self, house: House) -> None:
        """Else it is not found."""
        with pytest.raises(NotFound):
            house.create(revision_b=f"{ADAPTER}/revisions/9")

    def test_names_the_job_that_stored_no_answers(self, house: House) -> None:
        """Of an earlier release: which one to run again."""
        house.publish([], "old")

        with pytest.raises(StateConflict) as caught:
            house.create(revision_b=f"{ADAPTER}/revisions/3")

        assert caught.value.reason == "NOT_EVALUATED"
        assert caught.value.metadata["job"] == "tenants/acme/jobs/old"
        assert "tenants/acme/jobs/old again" in caught.value.hint

    def test_names_the_job_whose_rows_are_others(self, house: House) -> None:
        """And on which dataset to train instead."""
        other = [dataclasses.replace(row, key=f"other {row.key}") for row in answered(["x"])]
        asyncio.run(house.database.run(lambda c: published(c, house.blobs, other, house.clock.now(), "c")))

        with pytest.raises(StateConflict) as caught:
            house.create(revision_b=f"{ADAPTER}/revisions/3")

        assert caught.value.reason == "NOT_EVALUATED"
        assert caught.value.metadata == {"job": "tenants/acme/jobs/c", "dataset": "tenants/acme/datasets/a"}

    def test_refuses_two_revisions_that_answer_alike(self, house: House) -> None:
        """There would be nothing to look at."""
        house.publish([*(f"a{n}" for n in range(COUNT)), "same"], "again")

        with pytest.raises(StateConflict, match=f"all {COUNT + 1} common rows alike"):
            house.create(revision_b=f"{ADAPTER}/revisions/3")


class TestLook:
    """`PreferenceStudies.get`, `page` and `pairs`."""

    def test_others_find_nothing(self, house: House) -> None:
        """Neither another tenant nor another adapter has the study."""
        house.create()
        for name in (PreferenceStudyName("globex", "a", "first"), PreferenceStudyName("acme", "b", "first")):
            for work in (house.studies.get, house.studies.close, lambda own: house.studies.pairs(own, ALL)):
                with pytest.raises(NotFound):
                    asyncio.run(work(name))  # type: ignore[operator] # each takes a name
            with pytest.raises(NotFound):
                house.submit(PreferenceVerdict("x", "Ada", Choice.LEFT), name=name)

    @pytest.mark.parametrize("size", [1, 2, 3])
    def test_a_list_comes_in_pages_by_id(self, house: House, size: int) -> None:
        """Each once, with how far it is."""
        for own in ("c", "a", "b"):
            house.create(name=f"{ADAPTER}/preferenceStudies/{own}")
        seen, token = [], ""
        while True:
            found, token = asyncio.run(house.studies.page(ADAPTER, Page.parse(size, token)))
            seen += [(study.name[-1], progress.judged_pair_count) for study, progress in found]
            if not token:
                break

        assert seen == [("a", 0), ("b", 0), ("c", 0)]
        assert asyncio.run(house.studies.page(AdapterName("globex", "a"), ALL))[0] == []

    def test_pairs_come_in_pages(self, house: House) -> None:
        """In the same order for everybody."""
        house.create()
        first, token = asyncio.run(house.studies.pairs(NAME, Page.parse(5, "")))
        rest, last = asyncio.run(house.studies.pairs(NAME, Page.parse(50, token)))

        assert [*first, *rest] == house.pairs()
        assert (len(first), last) == (5, "")


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
