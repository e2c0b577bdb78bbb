"""A dataset made from another: what may be asked for, and when a request is the same."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from shared.errors import AlreadyExists, Exhausted, InvalidInput, NotFound, StateConflict
from shared.names import DatasetName
from tests.unit.trainer_svc.dataset.desk import DATA, NEW, STEPS, Desk
from tests.unit.trainer_svc.dataset.house import NAME
from trainer_svc.app import curator as module
from trainer_svc.domain.curation import CurationStep
from trainer_svc.domain.dataset import Dataset, DatasetState


class TestCurate:
    """What may be asked for, and what a repeated request gets."""

    def test_a_request_id_makes_one(self, desk: Desk) -> None:
        """The repeat gets the first answer; the name alone is taken."""

        async def act() -> tuple[Dataset, Dataset]:
            await desk.source()
            first = await desk.curator.curate(NEW, NAME, STEPS, "once")
            with pytest.raises(AlreadyExists):
                await desk.curator.curate(NEW, NAME, STEPS, "")
            return first, await desk.curator.curate(NEW, NAME, STEPS, "once")

        first, second = desk.run(act)

        assert second == first

    def test_a_request_that_is_refused_leaves_no_request_id(self, desk: Desk) -> None:
        """The id is free for another request."""

        async def act() -> Dataset:
            await desk.create()
            with pytest.raises(StateConflict):
                await desk.curator.curate(NEW, NAME, STEPS, "once")
            await desk.datasets.upload(NAME, 0, DATA)
            await desk.seal(DATA)
            return await desk.curator.curate(NEW, NAME, STEPS[::-1], "once")

        assert desk.run(act).state is DatasetState.ACTIVE

    def test_a_repeat_gets_no_dataset_that_was_made_otherwise(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The name may have been taken after the first request failed."""

        def fail(*_: Any) -> Any:  # Any: as the function's
            raise OSError("no space left")

        async def act() -> None:
            await desk.source()
            with monkeypatch.context() as patch:
                patch.setattr(module, "curate", fail)
                with pytest.raises(OSError, match="no space"):
                    await desk.curator.curate(NEW, NAME, STEPS, "once")
            await desk.curator.curate(NEW, NAME, STEPS[::-1], "other")
            with pytest.raises(AlreadyExists):
                await desk.curator.curate(NEW, NAME, STEPS, "once")

        desk.run(act)

    def test_a_limit_is_part_of_the_request(self, desk: Desk) -> None:
        """The lineage has it, and a repeat must give the same."""
        steps = [CurationStep.DROP_LONG_ROWS]

        async def act() -> Dataset:
            await desk.source()
            made = await desk.curator.curate(NEW, NAME, steps, "once", max_row_tokens=100)
            assert await desk.curator.curate(NEW, NAME, steps, "once", max_row_tokens=100) == made
            with pytest.raises(InvalidInput, match="another request"):
                await desk.curator.curate(NEW, NAME, steps, "once", max_row_tokens=99)
            return made

        made = desk.run(act)

        assert made.lineage is not None
        assert made.lineage.max_row_tokens == 100

    @pytest.mark.parametrize(
        ("steps", "most", "field"),
        [
            ([CurationStep.DROP_LONG_ROWS], None, "max_row_tokens"),
            ([CurationStep.DROP_LONG_ROWS], 0, "max_row_tokens"),
            (STEPS, 5, "max_row_tokens"),
            ([*STEPS, CurationStep.REPLACE_PERSONAL_DATA], None, "steps"),
        ],
    )
    def test_what_does_not_fit_the_steps_is_refused(
        self, desk: Desk, steps: list[CurationStep], most: int | None, field: str
    ) -> None:
        """A limit without its step, a step without its limit, digests of data that is then replaced."""

        async def act() -> str:
            with pytest.raises(InvalidInput) as caught:
                await desk.curator.curate(NEW, NAME, steps, "", max_row_tokens=most)
            return caught.value.violations[0].path

        assert desk.run(act) == field

    def test_too_few_rows_left_is_told(self, desk: Desk) -> None:
        """As for an upload: the new dataset is FAILED, with what was changed."""

        async def act() -> Dataset:
            one = {"input": "again", "output": True}
            held = {"input": "held", "output": True, "split": "holdout"}
            data = b"".join(json.dumps(row).encode() + b"\n" for row in [one] * 30 + [held])
            await desk.source(data)
            return await desk.curator.curate(NEW, NAME, STEPS, "")

        made = desk.run(act)

        assert made.state is DatasetState.FAILED
        assert made.report is not None
        assert made.report.finding_counts == {"DATASET_TOO_SMALL": 1}

    @pytest.mark.parametrize(
        ("source", "steps", "error"),
        [
            (DatasetName("acme", "none"), STEPS, NotFound),
            (DatasetName("other", "d"), STEPS, InvalidInput),
            (NAME, [], InvalidInput),
            (NAME, STEPS * 2, InvalidInput),
            (NAME, STEPS, StateConflict),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, desk: Desk, source: DatasetName, steps: list[CurationStep], error: type[Exception]
    ) -> None:
        """Also an upload that is not sealed."""

        async def act() -> None:
            await desk.create()
            with pytest.raises(error):
                await desk.curator.curate(NEW, source, steps, "")

        desk.run(act)

    def test_one_at_a_time(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of a tenant; it goes on when its caller is gone, and a repeat waits for it."""
        go, began = threading.Event(), threading.Event()
        work = module.curate

        def slow(*args: Any) -> Any:  # Any: as the function's
            began.set()
            assert go.wait(20)
            return work(*args)

        monkeypatch.setattr(module, "curate", slow)

        async def act() -> Dataset:
            await desk.source()
            gone = asyncio.create_task(desk.curator.curate(NEW, NAME, STEPS, "once"))
            await asyncio.to_thread(began.wait)
            (task,) = (task for task in asyncio.all_tasks() if "_make" in str(task.get_coro()))
            gone.cancel()
            repeat = asyncio.create_task(desk.curator.curate(NEW, NAME, STEPS, "once"))
            other = asyncio.create_task(desk.curator.curate(DatasetName("acme", "other"), NAME, STEPS, ""))
            with pytest.raises(Exhausted, match="another curation"):
                await other
            go.set()
            made = await repeat
            assert made is await task
            return made

        assert desk.run(act).state is DatasetState.ACTIVE
