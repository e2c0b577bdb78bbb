"""`goldsmith contract` against a real trainer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from shared.cli.main import app
from tests.trainer_process import trainer_process

pytestmark = pytest.mark.timeout(120)
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def run(tiny_base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Runs a subcommand against one trainer."""
    folder = tmp_path_factory.mktemp("trainer")
    with trainer_process(folder, tiny_base_folder) as process:
        address = process.wait_ready(60)

        def invoke(*arguments: str) -> Result:
            env = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
            return CliRunner().invoke(app, ["contract", *arguments, "--address", address], env=env)

        yield invoke


@pytest.fixture(scope="module")
def choices(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of choices."""
    path = tmp_path_factory.mktemp("files") / "classes.txt"
    path.write_text("billing\nrefund\n")
    return str(path)


class TestCommands:
    """One trainer, five commands."""

    def test_create_get_and_list_agree_with_the_dry_run(self, run: Run, choices: str) -> None:
        """The same report, before it is stored and ever after."""
        name = "tenants/acme/contracts/topic"
        dry = run("compile", choices, "--kind", "choice", "--tenant", "acme")
        empty = run("list", "tenants/acme")
        created = run("create", name, choices, "--kind", "choice")
        got, listed = run("get", name), run("list", "tenants/acme")

        assert [result.exit_code for result in (dry, empty, created, got, listed)] == [0] * 5, created.output
        assert dry.stdout == created.stdout == got.stdout
        assert name not in empty.stdout
        assert all(word in listed.stdout for word in (name, "choice", "certain", "outlines"))

    def test_refusals_end_with_1_and_their_places(self, run: Run, choices: str) -> None:
        """From the server, as from the compiler here."""
        name = "tenants/acme/contracts/taken"
        assert run("create", name, choices, "--kind", "choice").exit_code == 0

        taken = run("create", name, "--kind", "text")
        missing = run("get", "tenants/acme/contracts/none")
        wrong = run("create", "topic", choices, "--kind", "choice")
        refused = run("compile", choices, "--kind", "sql")

        assert [result.exit_code for result in (taken, missing, wrong, refused)] == [1] * 4
        assert "RESOURCE_EXISTS" in taken.stderr
        assert "RESOURCE_NOT_FOUND" in missing.stderr
        assert "FIELD_INVALID" in wrong.stderr
        assert "CONTRACT_UNSUPPORTED" in refused.stderr
        assert "ddl" in refused.stderr
