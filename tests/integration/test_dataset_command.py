"""`goldsmith dataset` against a real trainer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from goldsmith.trainer.v1 import golden_dataset_pb2
from shared.cli.main import app
from shared.client import TrainerClient
from tests.trainer_process import trainer_process

pytestmark = pytest.mark.timeout(120)
Run = Callable[..., Result]
_NAME = "tenants/acme/datasets/golden"
_MAIL = "jane@example.org"
_PLUGIN = """
from trainer_svc.curation.personal.base import PersonalSpan

class NameFinder:
    kinds = ("a name",)

    def find(self, text):
        begin = text.find("Jane Doe")
        return [PersonalSpan("a name", begin, begin + 8)] if begin >= 0 else []
"""


def _rows() -> bytes:
    words = "river stone maple cloud ember frost grain harbor island jungle".split()
    rows = [
        {"input": f"{words[number % 10]} {words[number // 10]} {number * 7919}", "output": {"n": number % 10}}
        for number in range(100)
    ]
    rows[6]["input"] = f"Jane Doe writes from {_MAIL}"
    rows[41] = rows[3]
    rows[50]["output"] = {"n": "many"}
    return "\n".join(map(json.dumps, rows)).encode()


@pytest.fixture(scope="module")
def run(tiny_base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Runs a subcommand against one trainer that has a checked dataset and an open one, and finds names."""
    folder = tmp_path_factory.mktemp("trainer")
    (folder / "name_finder.py").write_text(_PLUGIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=":")
        with trainer_process(folder, tiny_base_folder, personal_data_finder="name_finder:NameFinder") as process:
            address = process.wait_ready(60)
            with TrainerClient(address) as client:
                schema = '{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}'
                client.create_contract("tenants/acme/contracts/answer", json_schema=schema)
                golden = golden_dataset_pb2.GoldenDataset(contract="tenants/acme/contracts/answer")
                for name in (_NAME, "tenants/acme/datasets/open"):
                    client.create_dataset(name, golden)
                client.upload(_NAME, _rows(), golden_dataset_pb2.INVALID_ROW_POLICY_EXCLUDE)

            def invoke(*arguments: str) -> Result:
                env = {"COLUMNS": "160", "NO_COLOR": "1", "TERM": "dumb"}
                return CliRunner().invoke(app, ["dataset", *arguments, "--address", address], env=env)

            yield invoke


class TestReport:
    """One dataset with four faults."""

    def test_tells_counts_and_kinds_with_what_to_do(self, run: Run) -> None:
        """The gravest first, each with its rows."""
        result = run("report", _NAME)

        assert result.exit_code == 0, result.output
        places = [result.stdout.index(reason) for reason in ("CONTRACT_VIOLATED", "PERSONAL_DATA", "ROW_DUPLICATED")]
        assert places[0] < places[1]
        assert "100: " in result.stdout
        assert "keep one of them" in result.stdout
        assert "together 4 + 42" in result.stdout
        assert "rows[7].input holds a name" in result.stdout.replace("\n", " ")
        assert "names and places take a model" in " ".join(result.stdout.split())

    def test_json_has_everything(self, run: Run) -> None:
        """Each finding with its row, and each kind with all its rows."""
        result = run("report", _NAME, "--json")

        document = json.loads(result.stdout)
        assert (document["state"], document["row_count"], document["invalid_count"]) == ("ACTIVE", 100, 1)
        kinds = {kind["reason"]: kind for kind in document["kinds"]}
        rows = {"CONTRACT_VIOLATED": [51], "PERSONAL_DATA": [7], "ROW_DUPLICATED": [42]}
        assert {reason: kinds[reason]["rows"] for reason in rows} == rows
        assert kinds["PERSONAL_DATA"]["severity"] == "WARNING"
        assert "a name" in document["personal_data_kinds"]
        assert kinds["ROW_DUPLICATED"]["clusters"] == [[4, 42]]
        assert (document["distinct_output_count"], document["canonicalized_count"]) == (10, 0)
        assert document["token_lengths"]["base_model_digest"].startswith("sha256:")
        assert document["severity_counts"]["ERROR"] == 1
        assert {finding["reason"] for finding in document["findings"]} == set(kinds)

    def test_never_repeats_personal_data(self, run: Run) -> None:
        """A report is passed around."""
        for option in ((), ("--json",)):
            output = run("report", _NAME, *option).stdout

            assert _MAIL not in output
            assert "Jane Doe" not in output

    def test_of_what_was_not_checked_there_is_none(self, run: Run) -> None:
        """Nor of what does not exist."""
        unchecked, missing = run("report", "tenants/acme/datasets/open"), run("report", "tenants/acme/datasets/none")

        assert (unchecked.exit_code, missing.exit_code) == (1, 1)
        assert "was not checked yet" in unchecked.stderr
        assert "RESOURCE_NOT_FOUND" in missing.stderr


class TestCurate:
    """A dataset from another."""

    def test_tells_what_each_step_did(self, run: Run) -> None:
        """Personal data is gone from the new rows, and so from its report."""
        steps = ("--step", "replace-personal-data", "--step", "drop-duplicates")

        result = run("curate", _NAME, "clean", *steps)

        assert result.exit_code == 0, result.output
        assert "tenants/acme/datasets/clean: active" in result.stdout
        words = [line.split() for line in result.stdout.splitlines()]
        assert ["replace-personal-data", "0", "1"] in words
        assert ["drop-duplicates", "1", "0"] in words
        document = json.loads(run("report", "tenants/acme/datasets/clean", "--json").stdout)
        assert (document["row_count"], document["source"]) == (98, _NAME)
        assert not {"PERSONAL_DATA", "ROW_DUPLICATED"} & {kind["reason"] for kind in document["kinds"]}

    def test_changes_tell_rows_and_kinds_and_no_personal_data(self, run: Run) -> None:
        """By row of the source, as a table and as JSON; none of what was uploaded."""
        run("curate", _NAME, "told", "--step", "replace-personal-data", "--step", "drop-duplicates")

        shown = run("changes", "tenants/acme/datasets/told").stdout
        told = json.loads(run("changes", "tenants/acme/datasets/told", "--json").stdout)

        assert [(change["row_number"], change["step"]) for change in told] == [
            (7, "CURATION_STEP_REPLACE_PERSONAL_DATA"),
            (42, "CURATION_STEP_DROP_DUPLICATES"),
        ]
        assert told[0]["message"] == "a pseudonym for a name, an e-mail address"
        assert (told[0]["before_digest"], told[1]["after_digest"]) == ("", "")
        assert "a pseudonym for a name, an e-mail address" in shown
        assert _MAIL not in shown
        assert "Nothing was changed" in run("changes", _NAME).stdout

    def test_changes_tell_their_text_where_it_is_asked_for(self, run: Run) -> None:
        """As a diff and as JSON, and never the personal data that was replaced."""
        run("curate", _NAME, "shown", "--step", "replace-personal-data", "--step", "drop-duplicates")

        shown = run("changes", "tenants/acme/datasets/shown", "--text").stdout
        told = json.loads(run("changes", "tenants/acme/datasets/shown", "--text", "--json").stdout)

        replaced, dropped = told
        assert "before" not in replaced
        assert "writes from" in replaced["after"]["input"]
        assert dropped["before"]["output"] == '{"n":3}'
        assert "after" not in dropped
        assert "row 7 replace-personal-data: changed" in shown
        assert "  before: is not told" in shown
        assert f"-input: {dropped['before']['input']}" in shown
        assert _MAIL not in shown + json.dumps(told)
        assert "Jane Doe" not in shown + json.dumps(told)

    def test_long_rows_take_a_limit(self, run: Run) -> None:
        """Which the new dataset tells; without the step it is refused."""
        made = run("curate", _NAME, "short", "--step", "drop-long-rows", "--max-row-tokens", "500", "--json")
        missing = run("curate", _NAME, "none", "--step", "drop-long-rows")
        useless = run("curate", _NAME, "none", "--step", "drop-duplicates", "--max-row-tokens", "500")

        assert json.loads(made.stdout)["lineage"]["max_row_tokens"] == 500
        assert (missing.exit_code, useless.exit_code) == (1, 1)
        assert "max_row_tokens" in missing.stderr
        assert "max_row_tokens" in useless.stderr

    def test_data_is_replaced_before_anything_else(self, run: Run) -> None:
        """The digests of an earlier step would give it away."""
        result = run("curate", _NAME, "none", "--step", "drop-duplicates", "--step", "replace-personal-data")

        assert result.exit_code == 1
        assert "must begin with replace_personal_data" in result.stderr
