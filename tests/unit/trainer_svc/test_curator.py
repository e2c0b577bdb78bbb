"""A dataset made from another, without a socket."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from shared.digest import sha256_bytes
from shared.errors import AlreadyExists, Exhausted, InvalidInput, NotFound, StateConflict
from shared.names import DatasetName
from shared.rpc.page import Page
from shared.storage.local import LocalBlobStore
from tests.unit.trainer_svc.test_datasets import NAME, House
from trainer_svc.app import curator as module
from trainer_svc.app.curator import Curator
from trainer_svc.curation.compiled_example import ExampleCompiler
from trainer_svc.curation.row_file import load_rows
from trainer_svc.domain.curation import Change, CurationStep
from trainer_svc.domain.dataset import CheckedRow, Dataset, DatasetState, Finding, InvalidRowPolicy
from trainer_svc.store.database import Database

NEW = DatasetName("acme", "curated")
STEPS = [CurationStep.DROP_DUPLICATES, CurationStep.UNICODE_NFC]
DATA = b"".join(json.dumps({"input": f"row {number % 35}", "output": True}).encode() + b"\n" for number in range(40))


class Desk(House):
    """The use cases with a curator."""

    def __init__(self, folder: Path, database: Database, compiler: ExampleCompiler) -> None:
        super().__init__(folder, database, compiler)
        self.folder = folder
        self.curator = Curator(database, LocalBlobStore(folder / "blobs"), self.clock, compiler=compiler)

    async def source(
        self, data: bytes = DATA, policy: InvalidRowPolicy = InvalidRowPolicy.REFUSE, *, name: DatasetName = NAME,
        split_seed: int = 0,
    ) -> Dataset:  # fmt: skip
        """A sealed dataset."""
        await self.create(split_seed=split_seed, name=name)
        await self.datasets.upload(name, 0, data)
        return await self.datasets.seal(name, len(data), sha256_bytes(data), policy)

    def held(self, dataset: Dataset) -> set[int]:
        """Numbers of the rows that are held out."""
        blobs = LocalBlobStore(self.folder / "blobs")
        return {row.row for row in load_rows(blobs.read(dataset.holdout_rows))}


@pytest.fixture
def desk(tmp_path: Path, database: Database, compiler: ExampleCompiler) -> Desk:
    """Use cases over a temporary folder."""
    return Desk(tmp_path, database, compiler)


class TestCurate:
    """A new version."""

    def test_has_its_own_content_and_its_lineage(self, desk: Desk) -> None:
        """The source stays as it is; the same steps give the same bytes under another name."""

        async def act() -> tuple[Dataset, Dataset, Dataset, Dataset]:
            source = await desk.source()
            made = await desk.curator.curate(NEW, NAME, STEPS, "")
            again = await desk.curator.curate(DatasetName("acme", "again"), NAME, STEPS, "")
            return source, made, again, await desk.datasets.get(NAME)

        source, made, again, after = desk.run(act)

        assert after == source
        assert made.state is DatasetState.ACTIVE
        assert made.lineage is not None
        assert (made.lineage.source, made.lineage.source_digest, made.lineage.steps) == (
            str(NAME),
            source.digest,
            tuple(STEPS),
        )
        assert made.report is not None
        assert made.report.row_count == 35
        assert "ROW_DUPLICATED" not in made.report.finding_counts
        assert made.digest not in ("", source.digest)
        assert (again.digest, again.train_rows, again.holdout_rows) == (
            made.digest,
            made.train_rows,
            made.holdout_rows,
        )

    def test_tells_each_change_in_pages(self, desk: Desk) -> None:
        """By row of the source; an uploaded dataset has none."""

        async def act() -> tuple[list[Change], list[Change]]:
            await desk.source()
            await desk.curator.curate(NEW, NAME, STEPS, "")
            told, token = [], ""
            while True:
                page, token = await desk.curator.changes(NEW, Page.parse(2, token))
                told += page
                if not token:
                    return told, (await desk.curator.changes(NAME, Page.parse(2, "")))[0]

        told, none = desk.run(act)

        assert len(told) == 5
        assert {(change.step, change.after) for change in told} == {(CurationStep.DROP_DUPLICATES, "")}
        assert [change.row_number for change in told] == sorted(change.row_number for change in told)
        assert none == []

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

    def test_rows_keep_their_numbers(self, desk: Desk) -> None:
        """Findings and previews of the new dataset name rows as the source does; a dropped row has no number there."""
        texts = ["row 1", "row 1", *(f"row {number}" for number in range(3, 40)), "mail ann@acme.com"]
        data = b"\n".join(json.dumps({"input": text, "output": True}).encode() for text in texts)

        async def act() -> tuple[list[Finding], list[Finding], list[int]]:
            await desk.source(data)
            await desk.curator.curate(NEW, NAME, STEPS, "")
            found = [(await desk.datasets.findings(name, Page.parse(100, "")))[0] for name in (NAME, NEW)]
            with pytest.raises(NotFound, match="has no row 2"):
                await desk.datasets.preview(NEW, 2)
            return found[0], found[1], [(await desk.datasets.preview(NEW, number)).row_number for number in (1, 3, 40)]

        before, after, shown = desk.run(act)

        (told,) = (finding for finding in before if finding.row_number == 40 and "personal" in finding.reason.lower())
        assert told in after
        assert shown == [1, 3, 40]

    @pytest.mark.parametrize("seed", [0, 5])
    def test_rows_keep_their_sides_and_the_dataset_its_seed(self, desk: Desk, seed: int) -> None:
        """Whatever the seed chose is still held out; a row that is dropped moves no other."""

        async def act() -> tuple[Dataset, Dataset, list[Change]]:
            source = await desk.source(split_seed=seed)
            made = await desk.curator.curate(NEW, NAME, STEPS, "")
            return source, made, (await desk.curator.changes(NEW, Page.parse(100, "")))[0]

        source, made, changes = desk.run(act)

        assert made.split_seed == source.split_seed == seed
        assert desk.held(made) == desk.held(source) - {change.row_number for change in changes}

    def test_what_is_held_out_anew_comes_by_the_seed(self, desk: Desk) -> None:
        """Where the steps drop every row that was."""
        data = DATA + b'{"input":"row 1","output":false,"split":"holdout"}\n'

        async def act() -> set[frozenset[int]]:
            drawn = set()
            for seed in range(4):
                name = DatasetName("acme", f"d{seed}")
                await desk.source(data, name=name, split_seed=seed)
                steps = [CurationStep.DROP_CONTRADICTIONS]
                made = await desk.curator.curate(DatasetName("acme", f"c{seed}"), name, steps, "")
                drawn.add(frozenset(desk.held(made)))
            return drawn

        assert len(desk.run(act)) > 1

    def test_a_held_out_row_stays_however_it_is_written(self, desk: Desk) -> None:
        """One that takes more than a row of an upload may, once its output is text, still counts as a miss."""
        miss = b'{"input":"held","split":"holdout","output":[' + b",".join([b'""'] * 200_000) + b"]}\n"
        held = b'{"input":"other","split":"holdout","output":true}\n'

        async def act() -> tuple[Dataset, Dataset]:
            source = await desk.source(DATA + held + miss, InvalidRowPolicy.EXCLUDE)
            return source, await desk.curator.curate(NEW, NAME, STEPS, "")

        source, made = desk.run(act)

        assert source.report is not None
        assert made.report is not None
        assert (source.report.holdout_count, made.report.holdout_count) == (2, 2)
        assert made.holdout_rows == source.holdout_rows

    def test_pseudonyms_are_not_told_as_personal_data(self, desk: Desk) -> None:
        """Nor in a dataset that is made from the new one; whose change has no digest of the data."""
        text = "tel 4417 2203, +60 12-345 6789, ann@acme.com, 192.168.7.9, DE89 3704 0044 0532 0130 00"
        data = DATA + json.dumps({"input": text, "output": True}).encode()
        again = DatasetName("acme", "again")

        async def act() -> tuple[Dataset, Dataset, Dataset, list[Change], list[CheckedRow]]:
            source = await desk.source(data)
            made = await desk.curator.curate(NEW, NAME, [CurationStep.REPLACE_PERSONAL_DATA], "")
            later = await desk.curator.curate(again, NEW, STEPS, "")
            told, _ = await desk.curator.changes(NEW, Page.parse(10, ""))
            blobs = LocalBlobStore(desk.folder / "blobs")
            return source, made, later, told, load_rows(blobs.read(later.train_rows) + blobs.read(later.holdout_rows))

        source, made, later, told, rows = desk.run(act)

        reports = [dataset.report for dataset in (source, made, later)]
        assert ["PERSONAL_DATA" in report.finding_counts for report in reports if report] == [True, False, False]
        assert [(change.row_number, change.before) for change in told] == [(41, "")]
        assert made.lineage is not None
        assert later.lineage is not None
        assert made.lineage.pseudonyms == later.lineage.pseudonyms != ""
        (row,) = (row for row in rows if row.row == 41)
        assert not any(value in row.input for value in ("2203", "6789", "acme", "192.168", "3704"))

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
