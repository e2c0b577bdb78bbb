"""`goldsmith report` against a real trainer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from typer.testing import CliRunner, Result

from goldsmith.trainer.v1 import training_job_pb2
from shared.cli.main import app
from shared.client import EconomicsClient, EvaluationClient, TrainerClient
from shared.report.source import savings_of
from tests.report_house import DONE, EARLIER, FAILED, PAUSED, store_jobs
from tests.trainer_process import trainer_process
from tests.unit.shared.report.parsed import Page, field_value

pytestmark = pytest.mark.timeout(120)
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def address(tiny_base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a trainer with jobs that ended."""
    folder = tmp_path_factory.mktemp("trainer")
    (folder / "data").mkdir()
    store_jobs(folder / "data")
    with trainer_process(folder, tiny_base_folder) as process:
        yield process.wait_ready(60)


@pytest.fixture(scope="module")
def run(address: str) -> Run:
    """Runs the command against it."""

    def invoke(*arguments: str) -> Result:
        env = {"COLUMNS": "160", "NO_COLOR": "1", "TERM": "dumb"}
        return CliRunner().invoke(app, ["report", *arguments, "--address", address], env=env)

    return invoke


class TestReport:
    """Of a job that succeeded."""

    def test_writes_what_the_services_say(self, run: Run, address: str, tmp_path: Path) -> None:
        """Each figure of the page is that of GetJobEvaluation, ListEvaluatedRows and GetTrainingJob."""
        result = run(DONE, "--out", str(tmp_path / "page.html"))

        assert result.exit_code == 0, result.output
        assert result.stdout.strip() == str(tmp_path / "page.html")
        with TrainerClient(address) as trainer, EvaluationClient(address) as evaluations:
            roots = {
                "evaluation": evaluations.of_job(DONE), "rows": list(evaluations.rows(DONE)), "job": trainer.job(DONE),
            }  # fmt: skip
        figures = [one.attributes for one in Page((tmp_path / "page.html").read_text()).figures]
        own = [one for one in figures if "data-value" in one and one["data-source"].partition(".")[0] == "evaluation"]
        counted = [one for one in own if not one["data-source"].endswith(("checkpoints", "fields"))]
        assert [one for one in counted if one["data-value"] != str(field_value(roots, one["data-source"]))] == []
        assert len(counted) > 100
        assert roots["job"].promotion.checks[1].reason in (tmp_path / "page.html").read_text()

    def test_is_named_after_its_job(self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """In the folder where it is called."""
        monkeypatch.chdir(tmp_path)

        assert run(DONE, "--rows", "3").exit_code == 0
        page = Page((tmp_path / "report-done.html").read_text())
        assert sum(one.tag == "article" for one in page.elements) == 3

    def test_json_has_each_figure_by_its_path(self, run: Run) -> None:
        """And nothing but ASCII, whatever the rows hold."""
        result = run(DONE, "--json", "--rows", "2")

        document = json.loads(result.stdout)
        assert result.stdout.isascii()
        assert document["evaluation"]["checkpoints"][3]["constrained"]["exact_match"]["value"] == 0.5
        assert [row["row_number"] for row in document["rows"]] == [1, 2]
        assert document["dataset"]["report"]["finding_counts"] == {"ROW_DUPLICATED": 2}
        assert len(document["progress"]) == 30


class TestOlderServer:
    """One that lacks what later releases have."""

    def test_has_no_savings(self) -> None:
        """It does not know the call; a report says so, and is not refused."""
        server = grpc.server(ThreadPoolExecutor(1))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            with EconomicsClient(f"127.0.0.1:{port}") as economics:
                found = savings_of(economics, training_job_pb2.TrainingJob(adapter="tenants/acme/adapters/answer"))
        finally:
            server.stop(0).wait()

        assert found is None


class TestRefusal:
    """Status 1 and the reason."""

    @pytest.mark.parametrize(
        ("job", "words"),
        [
            (FAILED, "is FAILED and has nothing to report: OUT_OF_MEMORY, 16 GiB are not enough"),
            (PAUSED, "is PAUSED and has nothing to report (ask again when it has succeeded)"),
            (EARLIER, "those of earlier releases have none"),
            ("tenants/acme/jobs/none", "RESOURCE_NOT_FOUND"),
            ("acme/first", "must look like tenants/*/jobs/*"),
        ],
    )
    def test_says_why_there_is_no_report(self, run: Run, tmp_path: Path, job: str, words: str) -> None:
        """No file is written."""
        result = run(job, "--out", str(tmp_path / "page.html"))

        assert result.exit_code == 1
        assert words in " ".join(result.stderr.split())
        assert list(tmp_path.iterdir()) == []
