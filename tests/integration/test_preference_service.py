"""Preference studies over a real socket, from the command line to the revision."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from typer.testing import CliRunner, Result

from goldsmith.trainer.v1 import evaluation_pb2, preference_service_pb2_grpc
from goldsmith.trainer.v1 import preference_pb2 as pb
from goldsmith.trainer.v1 import preference_service_pb2 as service_pb
from shared.cli.main import app
from shared.client import TrainerClient
from shared.client.preference import PreferenceClient
from shared.errors import InvalidInput, NotFound, StateConflict
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from tests.trainer_process import trainer_process
from tests.unit.trainer_svc.preference_sample import ADAPTER, answered, published
from trainer_svc.store.database import Database

pytestmark = pytest.mark.timeout(120)
COUNT = 20
REVISIONS = [f"{ADAPTER}/revisions/{number}" for number in (1, 2)]
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def address(tiny_base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A trainer with two revisions; their answers begin with a and with b."""
    folder = tmp_path_factory.mktemp("trainer")
    data = folder / "data"
    data.mkdir()
    database, blobs, now = Database(f"sqlite:///{data}/trainer.db"), LocalBlobStore(data / "blobs"), ManualClock().now()
    database.migrate()
    with database._engine.begin() as connection:
        for side in "ab":
            published(connection, blobs, answered([f"{side}{n}" for n in range(COUNT)]), now, side)
    database.close()
    with trainer_process(folder, tiny_base_folder) as process:
        yield process.wait_ready(60)


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[PreferenceClient]:
    """The typed client."""
    with PreferenceClient(address) as own:
        yield own


@pytest.fixture(scope="module")
def run(address: str) -> Run:
    """Runs `goldsmith preference`."""

    def invoke(*arguments: str) -> Result:
        env = {"COLUMNS": "160", "NO_COLOR": "1", "TERM": "dumb"}
        return CliRunner().invoke(app, ["preference", *arguments, "--address", address], env=env)

    return invoke


@pytest.fixture
def study(client: PreferenceClient) -> str:
    """The name of a new study of all rows."""
    return client.create(f"{ADAPTER}/preferenceStudies/s{uuid.uuid4().hex}", *REVISIONS).name


def _prefer_b(pairs: list[pb.PreferencePair]) -> list[pb.PreferenceVerdict]:
    left, right = pb.PREFERENCE_CHOICE_LEFT, pb.PREFERENCE_CHOICE_RIGHT
    return [
        pb.PreferenceVerdict(pair=pair.id, choice=left if pair.left_answer.startswith("b") else right) for pair in pairs
    ]


class TestService:
    """Over gRPC."""

    def test_goes_from_two_revisions_to_a_figure_in_both(
        self, client: PreferenceClient, study: str, address: str
    ) -> None:
        """Nothing is generated; the result is told when the study is closed."""
        before = client.submit(study, "Ada", _prefer_b(list(client.pairs(study))))

        closed = client.close_study(study)

        assert not before.HasField("result")
        assert (before.judged_pair_count, before.pair_count) == (COUNT, COUNT)
        assert closed.result.verdict == evaluation_pb2.COMPARISON_VERDICT_BETTER
        assert closed.result.p_value == pytest.approx(2 / 2**COUNT)
        with TrainerClient(address) as trainer:
            told = [trainer.revision(name).preferences for name in REVISIONS]
        of_a, of_b = ([one for one in each if one.study == study] for each in told)
        assert [(one.preference_rate, one.other_revision) for one in (*of_a, *of_b)] == [
            (0.0, REVISIONS[1]), (1.0, REVISIONS[0]),
        ]  # fmt: skip
        assert of_b[0].decided_rate_low == pytest.approx(1 - of_a[0].decided_rate_high)
        assert client.close_study(study) == client.study(study) == closed

    def test_takes_reviewers_at_once(self, client: PreferenceClient, study: str) -> None:
        """Nobody's verdicts are lost."""
        verdicts = _prefer_b(list(client.pairs(study)))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: client.submit(study, f"r{number}", verdicts), range(8)))

        assert [(one.reviewer, one.verdict_count) for one in client.study(study).reviewers] == [
            (f"r{number}", COUNT) for number in range(8)
        ]
        assert client.close_study(study).result.agreement.observed == 1.0

    def test_lists_studies(self, client: PreferenceClient, study: str) -> None:
        """Of one adapter."""
        assert study in [one.name for one in client.studies(str(ADAPTER))]
        assert list(client.studies("tenants/globex/adapters/a")) == []

    def test_is_the_same_for_a_request_that_is_repeated(self, address: str) -> None:
        """With its id; the sides are not drawn again."""
        request = service_pb.CreatePreferenceStudyRequest(
            parent=str(ADAPTER), study_id="repeated", request_id=str(uuid.uuid4()),
            study=pb.PreferenceStudy(revision_a=REVISIONS[0], revision_b=REVISIONS[1]),
        )  # fmt: skip
        with grpc.insecure_channel(address) as channel:
            stub = preference_service_pb2_grpc.PreferenceServiceStub(channel)
            made = [stub.CreatePreferenceStudy(request, timeout=30) for _ in range(2)]

        assert made[0] == made[1]

    def test_says_what_is_wrong(self, client: PreferenceClient, study: str) -> None:
        """A study of nobody's, a pair of another study's, a choice that does not exist, a late verdict."""
        other = client.create(f"{ADAPTER}/preferenceStudies/other", *REVISIONS).name
        pairs, foreign = list(client.pairs(study)), list(client.pairs(other))

        with pytest.raises(NotFound):
            client.submit(study.replace("acme", "globex"), "Ada", _prefer_b(pairs))
        with pytest.raises(InvalidInput) as caught:
            client.submit(study, "Ada", _prefer_b(foreign[:1]))
        assert caught.value.violations[0].path == "verdicts[0].pair"
        newer = pb.PreferenceVerdict(pair=pairs[0].id, choice=77)  # type: ignore[arg-type]  # as a newer client may
        with pytest.raises(InvalidInput) as caught:
            client.submit(study, "Ada", [newer])
        assert caught.value.violations[0].path == "verdicts[0].choice"
        client.close_study(study)
        with pytest.raises(StateConflict):
            client.submit(study, "Ada", _prefer_b(pairs))


class TestCommand:
    """`goldsmith preference`."""

    def test_goes_all_the_way(self, run: Run, tmp_path: Path) -> None:
        """Create, export, import what came back, close; figures are shown at the end alone."""
        name = f"{ADAPTER}/preferenceStudies/command"
        created = run("create", name, "1", "2", "--max-pairs", "10")
        exported = run("export", name, "--out", str(tmp_path / "pairs.jsonl"))
        assert (created.exit_code, exported.exit_code) == (0, 0), created.output + exported.output
        assert "20 that both answered, 0 of them alike" in created.stdout
        lines = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
        verdicts = [line | {"verdict": "LEFT" if line["left"].startswith("b") else "RIGHT"} for line in lines]
        (tmp_path / "verdicts.jsonl").write_text("\n".join(map(json.dumps, verdicts)))

        imported = run("import", name, str(tmp_path / "verdicts.jsonl"), "--reviewer", "Ada")
        closed, shown = run("close", name), run("show", name)

        assert imported.exit_code == 0, imported.output
        assert "10 of 10 judged" in imported.stdout
        assert "for b" not in imported.stdout
        assert "0 for a, 10 for b, 0 tied" in closed.stdout
        assert "100.0% [72.2%, 100.0%], p = 0.00195" in closed.stdout
        assert "b is better" in closed.stdout
        assert shown.stdout == closed.stdout
        told = json.loads(run("show", name, "--json").stdout)
        assert told["result"]["verdict"] == "COMPARISON_VERDICT_BETTER"

    def test_exports_nothing_that_tells_the_sides(self, run: Run, study: str, tmp_path: Path) -> None:
        """Neither file names a revision or a job, and both hold the pairs as they are listed."""
        for name in ("pairs.jsonl", "page.html"):
            assert run("export", study, "--out", str(tmp_path / name)).exit_code == 0
            text = (tmp_path / name).read_text()
            assert "revision" not in text
            assert "tenants/acme/jobs" not in text
            assert "golden" not in text
        lines = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
        assert all(set(line) == {"study", "pair", "input", "left", "right"} for line in lines)
        assert [line["pair"] for line in lines] == sorted(line["pair"] for line in lines)
        assert sum(line["left"].startswith("a") for line in lines) == COUNT / 2

    def test_refuses_what_is_wrong(self, run: Run, study: str, tmp_path: Path) -> None:
        """Another ending, a file that is none of ours, a study that does not exist; nothing is written or stored."""
        (tmp_path / "bad.jsonl").write_text('{"study": "x"}\n\x1b[31m')

        ending = run("export", study, "--out", str(tmp_path / "pairs.csv"))
        bad = run("import", study, str(tmp_path / "bad.jsonl"), "--reviewer", "Ada")
        missing = run("export", f"{ADAPTER}/preferenceStudies/none", "--out", str(tmp_path / "none.html"))

        assert (ending.exit_code, bad.exit_code, missing.exit_code) == (2, 1, 1)
        assert "line 1, pair" in bad.stderr
        assert "\x1b" not in bad.stderr
        assert "RESOURCE_NOT_FOUND" in missing.stderr
        assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jsonl"]
