"""Single rows of a dataset, as they will be trained on."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from goldsmith.trainer.v1 import golden_dataset_pb2
from shared.cli.main import app
from shared.client import TrainerClient
from shared.errors import InvalidInput, NotFound, StateConflict
from tests.integration.trainer.house import golden_rows

pytestmark = pytest.mark.timeout(120)


class TestPreview:
    """PreviewExample, and the command that draws it."""

    def test_shows_rows_of_an_active_dataset(self, trainer: TrainerClient, dataset: str) -> None:
        """Each token with its role; other rows do not exist."""
        trainer.upload(dataset, golden_rows())

        preview = trainer.preview(dataset, 7)

        learned = b"".join(token.text for token in preview.tokens if token.learned)
        assert learned == b'{"n":6}'
        assert [result.fault for result in preview.proofs] == [""] * 6
        with pytest.raises(NotFound, match="no row 41"):
            trainer.preview(dataset, 41)
        with pytest.raises(InvalidInput):
            trainer.preview(dataset, 0)

    def test_says_why_a_row_is_not_there(self, trainer: TrainerClient, dataset: str) -> None:
        """A row that was left out is named with its finding; before the seal there are no rows."""
        with pytest.raises(StateConflict):
            trainer.preview(dataset, 1)
        long = json.dumps({"input": "#" * 600, "output": {"n": 1}}).encode()
        rows = b"\n".join([*golden_rows().splitlines(), long, b'{"input":"x","output":{"n":"no"}}'])
        trainer.upload(dataset, rows, golden_dataset_pb2.INVALID_ROW_POLICY_EXCLUDE)

        with pytest.raises(NotFound, match=r"CONTRACT_VIOLATED rows.42..output#/n"):
            trainer.preview(dataset, 42)
        with pytest.raises(NotFound, match=r"ROW_TOO_LONG .* the context holds 512"):
            trainer.preview(dataset, 41)

    def test_is_drawn_by_the_command(self, trainer: TrainerClient, address: str, dataset: str) -> None:
        """Text for people and JSON for machines; a row that is not there ends with 1."""
        trainer.upload(dataset, golden_rows())
        command = ["dataset", "preview", dataset, "--address", address]
        shell = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}

        drawn = CliRunner().invoke(app, [*command, "7"], env=shell)
        machine = CliRunner().invoke(app, [*command, "7", "--json"], env=shell)
        absent = CliRunner().invoke(app, [*command, "99"], env=shell)

        assert drawn.exit_code == 0, drawn.output
        assert drawn.stdout.startswith("<|input|>row 6<|output|>|{")
        assert "6 of 6 proofs hold" in drawn.stdout
        assert json.loads(machine.stdout)["row_number"] == 7
        assert json.loads(machine.stdout)["tokens"][0]["learned"] is False
        assert absent.exit_code == 1
        assert "no row 99" in absent.stderr
