"""Stored evaluations of jobs, as callers read them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from shared.errors import NotFound, StateConflict
from shared.names import JobName
from shared.rpc.page import Page
from tests.unit.trainer_svc.conftest import FINISH, NAME, Stage
from tests.unit.trainer_svc.evaluation_sample import COMPARISON, RIGHT, WRONG, evaluation, row
from trainer_svc.app import line_page
from trainer_svc.app.evaluations import Evaluations
from trainer_svc.domain.job import JobState
from trainer_svc.store import history
from trainer_svc.store.codec import dump


@pytest.fixture
def evaluations(stage: Stage) -> Evaluations:
    """Over the stage's stores."""
    return Evaluations(stage.database, stage.blobs)


class TestOfJob:
    """`Evaluations.of_job`."""

    def test_is_what_the_run_left(self, stage: Stage, evaluations: Evaluations) -> None:
        """Published with the revision, so that it outlives the run's folder."""
        stage.act(FINISH)
        stage.serve()

        job, found = asyncio.run(evaluations.of_job(NAME))

        assert found == evaluation()
        assert (job.name, job.revision) == (str(NAME), "tenants/acme/adapters/a/revisions/1")

    def test_gives_a_promotion_the_leaks_of_both(self) -> None:
        """The adapter's and the base's: a wide format is met by the base, too."""
        told = evaluation().evidence.forgetting

        assert (told["leaked_format_rate"], told["base_leaked_format_rate"]) == (0.5, 0.25)

    def test_gives_a_promotion_each_comparison_as_what_it_is(self) -> None:
        """None passes for another."""
        names = ("against_base", "against_chance", "trained_against_chance", "against_bare_base")
        found = {name: (dataclasses.replace(COMPARISON, row_count=place),) for place, name in enumerate(names)}

        told = evaluation(**found).evidence

        assert {name: getattr(told, name) for name in names} == found

    def test_says_that_a_job_is_not_done(self, evaluations: Evaluations) -> None:
        """With its state, so that the caller knows whether to wait."""
        with pytest.raises(StateConflict) as caught:
            asyncio.run(evaluations.of_job(NAME))

        assert (caught.value.reason, caught.value.metadata) == ("NOT_EVALUATED", {"state": JobState.PENDING.value})

    def test_knows_no_other_job(self, evaluations: Evaluations) -> None:
        """Not found, as everywhere."""
        with pytest.raises(NotFound):
            asyncio.run(evaluations.of_job(JobName("acme", "other")))


class TestRows:
    """`Evaluations.rows`."""

    def _store(self, stage: Stage, transact: Callable[..., Any], count: int) -> None:
        rows = [row(number) for number in range(1, count + 1)]
        digest = stage.blobs.put_bytes(b"".join(dump(one).encode() + b"\n" for one in rows))

        def work(connection: Any) -> None:
            job = history.get_job(connection, NAME)
            stored = dataclasses.replace(job, evaluation_digest=digest, evaluated_rows_digest=digest)
            history.save_job(connection, stored)

        transact(work)

    @pytest.mark.parametrize("size", [1, 3, 7, 10])
    def test_come_once_each_in_their_order(
        self, stage: Stage, evaluations: Evaluations, transact: Callable[..., Any], size: int
    ) -> None:
        """In pages of any size; only the last has no token."""
        self._store(stage, transact, 7)
        seen, token = [], ""
        while True:
            page, token = asyncio.run(evaluations.rows(NAME, Page.parse(size, token)))
            seen += [one.row for one in page]
            if not token:
                break
            assert len(page) == size

        assert seen == [1, 2, 3, 4, 5, 6, 7]

    def test_fill_no_more_than_a_message_holds(
        self, stage: Stage, evaluations: Evaluations, transact: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A page ends early where its rows are long, and has one at least."""
        self._store(stage, transact, 3)
        monkeypatch.setattr(line_page, "_PAGE_BYTES", 1)

        page, token = asyncio.run(evaluations.rows(NAME, Page.parse(1000, "")))

        assert [one.row for one in page] == [1]
        assert token


class TestBadness:
    """The order of evaluated rows."""

    def test_puts_wrong_answers_first_and_the_worst_of_them_before_others(self) -> None:
        """By whether they are exact, then by the share of wrong leaves, then as they were uploaded."""
        none = dataclasses.replace(WRONG, fields=())
        rows = [row(1), row(2, none), row(3, WRONG), row(4, WRONG), row(5, RIGHT)]

        assert [one.row for one in sorted(rows, key=lambda one: one.badness, reverse=True)] == [3, 4, 2, 1, 5]
