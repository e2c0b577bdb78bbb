"""Who answers the prompts of an evaluation makes no difference: the engine that will serve, or transformers."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from shared.adapter.package import read_package
from shared.base_model import BaseModel
from tests.e2e.training_sample import events_of, finish, rows, run_here, write_run
from trainer_svc.domain.run import RunFolder, RunSpec, ServedType
from trainer_svc.domain.servability import ServabilityMode
from trainer_svc.engine.calibration import calibrate
from trainer_svc.engine.journal import Journal
from trainer_svc.engine.memo import Memo

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

_LIVE = "tenants/acme/adapters/answer/revisions/1"
_WANTED = {
    "published.answers", "published.free", "step-30.answers", "step-30.free", "train.answers", "base.answers",
    "bare.answers",
}  # fmt: skip


def _answers(folder: RunFolder) -> dict[str, list[list[int]]]:
    names = {path.stem for path in folder.evaluations.iterdir() if path.stem.endswith((".answers", ".free"))}
    return {name: Memo(folder.evaluations).answers(name) for name in names}


@pytest.fixture(scope="module")
def by_transformers(base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with a state on the way, an instruction prompt and a live revision, in float32: there are no ties."""
    place = tmp_path_factory.mktemp("answers")
    live = write_run(place / "live", base, epoch_count=1)
    run_here(live)
    folder = write_run(
        place / "transformers", base, evaluated_checkpoint_count=2, served_type=ServedType.FLOAT32,
        live_revision=_LIVE, live_digest=read_package(live.package).digest,
    )  # fmt: skip
    shutil.copytree(live.package, folder.live)
    run_here(folder)
    return folder


class TestPromptSets:
    """Of one trained adapter, answered once by each."""

    def test_have_the_same_answers_from_vllm(self, by_transformers: RunFolder, base: BaseModel, tmp_path: Path) -> None:
        """Token for token: constrained and free ones, of every state, of the live revision and of the base."""
        wanted = _answers(by_transformers)
        told = {"live_revision": _LIVE, "live_digest": read_package(by_transformers.live).digest}
        folder = write_run(
            tmp_path / "vllm", base, evaluated_checkpoint_count=2, served_type=ServedType.FLOAT32,
            servability_proof=ServabilityMode.VLLM, **told,
        )  # fmt: skip
        for name in ("adapter", "milestones", "live"):
            shutil.copytree(getattr(by_transformers, name), getattr(folder, name))
        shutil.copyfile(by_transformers.recipe, folder.recipe)

        finish(folder)

        assert set(wanted) > _WANTED
        assert any(name.startswith("live-") for name in wanted)
        assert wanted["published.free"] != wanted["published.answers"]
        assert _answers(folder) == wanted
        assert not folder.draft.exists()
        assert not folder.prompt_sets.exists()


class TestCalibration:
    """The measurement that an estimate rests on."""

    def test_asks_vllm_as_the_job_would(self, base: BaseModel, tmp_path: Path) -> None:
        """Also where the job's own learning rate would change nothing in ten steps."""
        folder = write_run(tmp_path / "run", base, rows(72), learning_rate=1e-9, servability_proof=ServabilityMode.VLLM)

        with closing(Journal(folder.events)) as journal:
            calibrate(RunSpec.from_json(folder.spec.read_bytes()), folder, journal, lambda: False)

        (usage,) = events_of(folder, "usage")
        assert usage["servability_proof"] == "vllm"
        assert usage["answer_tokens"] > 0
        assert usage["proving_seconds"] > 0
        assert usage["answering_seconds"] > 0
