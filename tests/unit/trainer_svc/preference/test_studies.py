"""Preference studies: how they are created, and what is seen of them."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from shared.errors import AlreadyExists, InvalidInput, NotFound, StateConflict
from shared.names import AdapterName, PreferenceStudyName
from shared.rpc.page import Page
from tests.unit.trainer_svc.preference.house import ALL, COUNT, NAME, House
from tests.unit.trainer_svc.preference_sample import ADAPTER, answered, published
from trainer_svc.domain.preference import Choice, PreferenceVerdict

REQUEST_ID = "7f4d1c52-58a5-4f6d-9a3c-0d9a4a8f3b11"


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
