"""A dataset made from another: what it holds."""

from __future__ import annotations

import json

import pytest

from shared.errors import NotFound
from shared.names import DatasetName
from shared.rpc.page import Page
from shared.storage.local import LocalBlobStore
from tests.unit.trainer_svc.dataset.desk import DATA, NEW, STEPS, Desk
from tests.unit.trainer_svc.dataset.house import NAME
from trainer_svc.curation.row_file import load_rows
from trainer_svc.domain.curation import Change, CurationStep
from trainer_svc.domain.dataset import CheckedRow, Dataset, DatasetState, Finding, InvalidRowPolicy


class TestCurate:
    """What a new version holds."""

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
