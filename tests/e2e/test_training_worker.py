"""A training job's child process on a tiny model: killed, cancelled, started again, in each of its modes."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
from collections.abc import Callable
from typing import Any

import pytest

from shared.adapter.package import WEIGHTS_NAME, read_package
from shared.adapter.validate import validate_adapter
from shared.base_model import BaseModel
from shared.digest import sha256_bytes, sha256_file
from shared.errors import InvalidInput
from shared.prompt import PromptRenderer
from tests.e2e.training_sample import events_of, rows, run_here, start, wait_for_checkpoints
from trainer_svc.curation.compiled_example import ExampleCompiler
from trainer_svc.curation.row_file import load_rows
from trainer_svc.domain.dataset import CheckedRow
from trainer_svc.domain.job import JobSpec
from trainer_svc.domain.recipe import RECIPE_VERSION
from trainer_svc.domain.run import (
    EXIT_DONE,
    EXIT_STOPPED,
    EXIT_USER_ERROR,
    VALIDATE_FLAG,
    Cancelled,
    Initialization,
    RunFolder,
    TrainingMode,
)
from trainer_svc.engine.provenance import code_digest

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]


def _phases(folder: RunFolder) -> list[str]:
    return [event["phase"] for event in events_of(folder, "phase")]


def _train_tokens(base: BaseModel, folder: RunFolder) -> int:
    examples = ExampleCompiler(PromptRenderer.load(base), base.max_positions)
    compiled = examples.compile(load_rows(folder.train_rows.read_bytes()))
    return sum(len(one.example.input_ids) for one in compiled if one.example is not None)


class TestResume:
    """Attempts that follow a death."""

    def test_a_killed_run_ends_with_the_same_bytes(self, prepare: Callable[..., RunFolder], base: BaseModel) -> None:
        """Kill -9, a damaged checkpoint and a torn one: the next attempt gives the uninterrupted run's adapter."""
        whole, killed = prepare("whole"), prepare("killed")
        run_here(whole)
        process = start(killed)
        wait_for_checkpoints(killed, process, 2)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        newest = max(killed.checkpoints.iterdir(), key=lambda folder: int(folder.name.rsplit("-", 1)[1]))
        (newest / "optimizer.pt").write_bytes(b"half a sector")
        (killed.checkpoints / "checkpoint-999").mkdir()

        run_here(killed)

        assert sha256_file(killed.package / WEIGHTS_NAME) == sha256_file(whole.package / WEIGHTS_NAME)
        assert [event["step"] for event in events_of(killed, "progress")].count(5) == 1, "it started from the beginning"
        assert events_of(killed, "usage") == [], "it knows only its own part"
        (usage,) = events_of(whole, "usage")
        assert usage["trained_tokens"] == 3 * _train_tokens(base, whole)
        assert usage["step_count"] == usage["steps"]["count"] + 1 == 60
        assert usage["trained_tokens"] < usage["padded_tokens"] == usage["steps"]["tokens"] + usage["batch_tokens"]
        assert usage["steps"]["seconds"] < usage["training_seconds"]
        assert usage["answering_seconds"] + usage["scoring_seconds"] < usage["evaluation_seconds"]
        assert usage["answer_tokens"] >= 9, "each answer ends with the stop token"
        assert min(event["peak_memory_bytes"] for event in events_of(whole, "progress")) > 100 << 20
        assert usage["batch_tokens"] <= 8 * usage["trained_tokens"] / 3 / 160 * 2
        assert min(usage[f"{part}_seconds"] for part in ("startup", "training", "evaluation")) > 0
        assert usage["peak_bytes"] > 100 << 20, "torch alone takes more"
        assert (usage["device"], usage["threads"], usage["rank"], usage["scored_count"]) == ("cpu", 1, 4, 4 * 9)
        manifest = read_package(killed.package)
        validate_adapter(killed.package, manifest, base, max_rank=64)
        assert manifest.canaries
        assert manifest.instruction_prompt_tokens > 0
        assert manifest.digest == read_package(whole.package).digest, "all that it says was the same in both attempts"

    def test_a_finished_run_says_the_same_again(self, prepare: Callable[..., RunFolder]) -> None:
        """Started again after its end, or after a death just before it: same result, no second training."""
        folder = prepare("again", epoch_count=1)
        run_here(folder)
        first = folder.result.read_bytes()

        run_here(folder)
        folder.result.unlink()
        run_here(folder)

        assert folder.result.read_bytes() == first
        assert _phases(folder).count("training") == 1

    def test_what_another_recipe_left_is_not_gone_on_with(self, prepare: Callable[..., RunFolder]) -> None:
        """An update of the trainer may change prompts or batches: the run begins anew, and ends as a fresh one."""
        fresh, updated = prepare("fresh", epoch_count=1), prepare("updated", epoch_count=1)
        run_here(fresh)
        with pytest.raises(Cancelled):
            run_here(updated, lambda: bool(events_of(updated, "progress")))
        assert list(updated.checkpoints.iterdir())
        updated.recipe.unlink()  # as the version before left it

        run_here(updated)

        assert [event["step"] for event in events_of(updated, "progress")].count(1) == 2
        assert sha256_file(updated.package / WEIGHTS_NAME) == sha256_file(fresh.package / WEIGHTS_NAME)

    def test_only_two_checkpoints_are_kept(self, prepare: Callable[..., RunFolder]) -> None:
        """The newest: one to go on from, and the one before it in case that is damaged."""
        folder = prepare("rotated")

        with pytest.raises(Cancelled):
            run_here(folder, lambda: len(events_of(folder, "checkpoint")) > 3)

        told = [event["step"] for event in events_of(folder, "checkpoint")]
        assert len(told) > 3
        assert {path.name for path in folder.checkpoints.iterdir()} == {f"checkpoint-{step}" for step in told[-2:]}

    def test_a_run_of_one_step_learns(self, prepare: Callable[..., RunFolder]) -> None:
        """An adapter whose deltas are all zero would be refused."""
        folder = prepare("short", epoch_count=1, batch_size=256)

        run_here(folder)

        assert [event["step"] for event in events_of(folder, "progress")] == [1]
        assert folder.result.is_file()

    def test_another_seed_gives_another_adapter(self, prepare: Callable[..., RunFolder]) -> None:
        """The seed is an input of the run, and the same one gives the same bytes."""
        folders = [prepare(f"seed-{i}", epoch_count=1, seed=seed) for i, seed in enumerate((0, 1, 0))]

        for folder in folders:
            run_here(folder)

        first, other, same = (sha256_file(folder.package / WEIGHTS_NAME) for folder in folders)
        assert first == same != other

    def test_the_manifest_says_how_to_make_the_same_bytes_again(self, prepare: Callable[..., RunFolder]) -> None:
        """Its settings, with the rows of its dataset digest, are a whole recipe; what they hold on is named, too."""
        inserts = "INSERT INTO city VALUES ('Oslo');"
        database = {"database_sql": inserts, "split_seed": 5}
        first = prepare("first", epoch_count=1, seed=7, use_rslora=True, loraplus_ratio=4.0, **database)
        run_here(first)
        training = read_package(first.package).training

        asked = {setting.name: training[setting.name] for setting in dataclasses.fields(JobSpec)}
        again = prepare("again", **asked, **database)
        run_here(again)

        assert sha256_file(again.package / WEIGHTS_NAME) == sha256_file(first.package / WEIGHTS_NAME)
        assert {"threads", "chip", "dtype", "torch_version", "goldsmith_version", "python_version"} <= training.keys()
        assert training["train_rows_digest"] == sha256_file(first.train_rows)
        assert training["holdout_rows_digest"] == sha256_file(first.holdout_rows)
        assert training["database_digest"] == sha256_bytes(inserts.encode())
        assert training["instruction_prompt_digest"] == sha256_bytes(b"Answer with JSON.")
        assert (training["split_seed"], training["recipe_version"]) == (5, RECIPE_VERSION)
        assert training["code_digest"] == code_digest()


class TestValidate:
    """Proving a job without training it."""

    def test_fills_in_the_settings_and_leaves_the_rest(self, prepare: Callable[..., RunFolder]) -> None:
        """The journal holds the plan and no phase; nothing is trained."""
        folder = prepare("proved")

        assert start(folder, VALIDATE_FLAG).wait() == EXIT_DONE

        assert [event["epoch_count"] for event in events_of(folder, "settings")] == [3]
        assert _phases(folder) == []
        assert not folder.checkpoints.exists()

    def test_tells_a_row_that_does_not_fit(self, prepare: Callable[..., RunFolder]) -> None:
        """As the training would, hours later."""
        folder = prepare("proved-long", [*rows(20), CheckedRow(21, "x" * 3000, '{"city":"Rome","count":1}')])

        assert start(folder, VALIDATE_FLAG).wait() == EXIT_USER_ERROR

        assert json.loads(folder.failure.read_text())["reason"] == "CONTEXT_TOO_LONG"


class TestStart:
    """Runs that begin with the weights of an earlier revision."""

    def _follow(self, prepare: Callable[..., RunFolder], first: RunFolder, name: str, **settings: Any) -> RunFolder:
        digest = read_package(first.package).digest
        folder = prepare(name, epoch_count=1, **{"start_digest": digest, "rank": None, **settings})
        shutil.copytree(first.package, folder.start)
        return folder

    def test_go_on_from_there(self, prepare: Callable[..., RunFolder]) -> None:
        """The loss begins where the first run's ended; rank, alpha and scaling are taken over, the manifest says so."""
        first = prepare("first", rank=8, alpha=8.0, use_rslora=True)
        run_here(first)
        fresh, later = prepare("fresh", epoch_count=1, rank=8, alpha=8.0), self._follow(prepare, first, "later")

        run_here(fresh)
        run_here(later)

        begin, end = (events_of(first, "progress")[place]["train_loss"] for place in (0, -1))
        again = events_of(later, "progress")[0]["train_loss"]
        assert abs(again - end) < abs(again - begin)
        manifest = read_package(later.package)
        assert (manifest.rank, manifest.alpha, manifest.use_rslora) == (8, 8.0, True)
        assert manifest.training["base_revision_digest"] == read_package(first.package).digest
        assert "base_revision_digest" not in read_package(fresh.package).training

    def test_cannot_change_its_shape(self, prepare: Callable[..., RunFolder]) -> None:
        """Every setting that differs is named, before anything is trained."""
        first = prepare("shape", epoch_count=1)
        run_here(first)
        other = self._follow(prepare, first, "other", rank=16, alpha=1.0, use_rslora=True, initialization="eva")

        with pytest.raises(InvalidInput) as caught:
            run_here(other)

        paths = [violation.path.removeprefix("job.spec.") for violation in caught.value.violations]
        assert paths == ["use_rslora", "initialization", "rank", "alpha"]
        assert not other.checkpoints.exists()


class TestCancel:
    """Runs that are asked to stop."""

    def test_keeps_the_last_checkpoint(self, prepare: Callable[..., RunFolder]) -> None:
        """A cancelled run stops at a step, publishes nothing and could go on."""
        folder = prepare("cancelled", epoch_count=50)
        process = start(folder)
        wait_for_checkpoints(folder, process, 1)

        folder.stop.touch()

        assert process.wait() == EXIT_STOPPED
        assert list(folder.checkpoints.glob("checkpoint-*/seal.json"))
        assert not folder.package.exists()

    def test_reaches_the_evaluation(self, prepare: Callable[..., RunFolder]) -> None:
        """Generation stops between batches; a later attempt does not train again."""
        folder = prepare("late", epoch_count=1)

        with pytest.raises(Cancelled):
            run_here(folder, lambda: "evaluating" in _phases(folder))

        assert not folder.package.exists()
        run_here(folder)
        assert _phases(folder).count("training") == 1


class TestMode:
    """Ways of holding the base."""

    def test_qlora_makes_a_servable_package(self, prepare: Callable[..., RunFolder], base: BaseModel) -> None:
        """A 4-bit base trains an adapter that passes the same checks, with the mode in its manifest."""
        folder = prepare("qlora", mode=TrainingMode.QLORA, epoch_count=1)

        run_here(folder)

        manifest = read_package(folder.package)
        validate_adapter(folder.package, manifest, base, max_rank=64)
        assert manifest.training["mode"] == "qlora"

    def test_every_option_of_the_recipe_is_servable_and_resumes(
        self, prepare: Callable[..., RunFolder], base: BaseModel
    ) -> None:
        """LoRA+, rsLoRA and EVA at once: stopped halfway and taken up again they give the uninterrupted run's bytes."""
        options = {"loraplus_ratio": 16.0, "use_rslora": True, "initialization": Initialization.EVA, "epoch_count": 1}
        whole, stopped = (prepare(name, **options) for name in ("whole", "stopped"))
        run_here(whole)
        with pytest.raises(Cancelled):
            run_here(stopped, lambda: len(events_of(stopped, "progress")) > 1)

        run_here(stopped)

        assert sha256_file(stopped.package / WEIGHTS_NAME) == sha256_file(whole.package / WEIGHTS_NAME)
        manifest = read_package(whole.package)
        validate_adapter(whole.package, manifest, base, max_rank=64)
        assert manifest.use_rslora
        assert (manifest.training["loraplus_ratio"], manifest.training["initialization"]) == (16.0, "eva")
