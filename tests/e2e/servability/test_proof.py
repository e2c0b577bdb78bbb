"""A training job's adapter is shown to real vLLM before the job succeeds."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from safetensors.torch import load_file, save_file

from shared.adapter.manifest import AdapterManifest, Canary
from shared.adapter.package import CONFIG_NAME, FILE_NAMES, WEIGHTS_NAME, read_package, write_package
from shared.adapter.replay import MIN_CANARY_AGREEMENT
from shared.base_model import BaseModel
from shared.errors import StateConflict, Unavailable
from tests.e2e.training_sample import run_here, start, write_run
from trainer_svc.domain.fault import fault_of
from trainer_svc.domain.job import DISK_FULL
from trainer_svc.domain.run import (
    EXIT_DONE,
    EXIT_INTERNAL_ERROR,
    SIGNALLED,
    Cancelled,
    ProcessFailed,
    RunFolder,
    RunSpec,
)
from trainer_svc.domain.servability import ServabilityMode, ServabilityProof
from trainer_svc.engine import pipeline, vllm_process
from trainer_svc.engine.journal import Journal
from trainer_svc.engine.memo import Memo
from trainer_svc.engine.prompt_set import PromptSet
from trainer_svc.engine.vllm_process import show_to_vllm
from trainer_svc.worker import exit_status

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

_MODULE = "trainer_svc.vllm_worker"


def _prover_of(process: subprocess.Popen[bytes]) -> psutil.Process:
    """The child that shows the adapter to vLLM, once it is there."""
    while True:
        assert process.poll() is None
        for child in psutil.Process(process.pid).children():
            if _is_prover(child):
                return child
        time.sleep(0.02)


def _is_prover(child: psutil.Process) -> bool:
    try:
        return _MODULE in child.cmdline()
    except psutil.NoSuchProcess:  # others, of the libraries, live for a moment
        return False


def _spec(folder: RunFolder) -> RunSpec:
    return RunSpec.from_json(folder.spec.read_bytes())


@pytest.fixture(scope="module")
def proved(base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that was killed while vLLM looked at its adapter, and then went on to its end."""
    folder = write_run(tmp_path_factory.mktemp("proved") / "run", base, servability_proof=ServabilityMode.VLLM)
    process = start(folder)
    prover = _prover_of(process)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    prover.wait(timeout=60)  # it dies with the worker
    assert not folder.package.exists()
    assert start(folder).wait() == EXIT_DONE, (folder.path / "log").read_text()[-3000:]
    return folder


class TestJob:
    """Runs of the worker with `--servability-proof vllm`."""

    def test_succeeds_once_vllm_repeats_its_canaries(self, proved: RunFolder) -> None:
        """Killed in the midst, it proves again; what was found is kept, and the manifest says who looked."""
        proof = ServabilityProof.from_json(proved.servability.read_bytes())
        manifest = read_package(proved.package)

        assert len(proof.canary_ratios) == len(proof.base_ratios) == len(manifest.canaries) > 0
        assert sum(proof.canary_ratios) / len(proof.canary_ratios) >= MIN_CANARY_AGREEMENT
        assert sum(proof.base_ratios) < sum(proof.canary_ratios)
        told = {name: manifest.training[name] for name in ("servability_proof", "max_lora_rank", "vllm_version")}
        assert told == {"servability_proof": "vllm", "max_lora_rank": 64, "vllm_version": proof.vllm_version}

    def test_fails_when_its_canaries_are_not_repeated(
        self, proved: RunFolder, base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Those of another adapter, here: the job says which check it was, and no package is left."""
        folder = write_run(tmp_path / "run", base, servability_proof=ServabilityMode.VLLM)
        shutil.copytree(proved.adapter, folder.adapter)
        shutil.copyfile(proved.recipe, folder.recipe)
        foreign = _turned(read_package(proved.package).canaries)
        monkeypatch.setattr(pipeline, "pick_canaries", lambda *_: foreign)

        status = exit_status(_train, folder, lambda: False)

        assert status == EXIT_INTERNAL_ERROR
        failure = json.loads(folder.failure.read_bytes())
        assert (failure["reason"], failure["user_error"]) == ("ADAPTER_REJECTED", False)
        assert failure["message"].startswith("servability, canary replay: vLLM repeats")
        assert not folder.package.exists()
        assert not folder.result.exists()


def _train(spec: RunSpec, folder: RunFolder, journal: Journal, is_cancelled: Callable[[], bool]) -> None:
    """As the worker does; here, so that a part can be put in its place."""
    pipeline.run(spec, folder, journal, is_cancelled)


def _turned(canaries: tuple[Canary, ...]) -> tuple[Canary, ...]:
    """Answers that neither the adapter nor the base gives: another city, another number."""
    return tuple(Canary(canary.prompt_ids, tuple(reversed(canary.expected_ids))) for canary in canaries)


class TestShowToVllm:
    """Shows one package to vLLM."""

    def test_tells_what_vllm_has_against_a_configuration(self, proved: RunFolder, tmp_path: Path) -> None:
        """In vLLM's own words, before its engine starts."""
        source = tmp_path / "source"
        shutil.copytree(proved.adapter, source)
        config = json.loads((source / CONFIG_NAME).read_bytes())
        (source / CONFIG_NAME).write_text(json.dumps(config | {"use_dora": True}))
        package = _packed(read_package(proved.package), source, tmp_path / "package")

        with pytest.raises(StateConflict, match="vLLM's check of the configuration: vLLM does not yet support DoRA"):
            show_to_vllm(package, _spec(proved), RunFolder(_beside(proved, tmp_path)), lambda: None)

    @pytest.mark.parametrize("part", [0.0, 0.01])
    def test_refuses_an_adapter_that_changes_nothing(self, proved: RunFolder, tmp_path: Path, part: float) -> None:
        """Also where the base gives the same answers; one that shifts probabilities a little is applied."""
        source = tmp_path / "source"
        shutil.copytree(proved.adapter, source)
        tensors = load_file(source / WEIGHTS_NAME)
        save_file(
            {name: own * part if "lora_B" in name else own for name, own in tensors.items()}, source / WEIGHTS_NAME
        )
        manifest = read_package(proved.package)
        same = tuple(Canary(canary.prompt_ids, canary.expected_ids[:1]) for canary in manifest.canaries)  # a brace
        package = _packed(dataclasses.replace(manifest, canaries=same), source, tmp_path / "package")
        run = RunFolder(_beside(proved, tmp_path))

        if part:
            show_to_vllm(package, _spec(proved), run, lambda: None)
            proof = ServabilityProof.from_json(run.servability.read_bytes())
            assert proof.canary_ratios == proof.base_ratios
            return
        with pytest.raises(StateConflict, match="it changes nothing in vLLM"):
            show_to_vllm(package, _spec(proved), run, lambda: None)

    def test_ends_when_the_run_is_asked_to_stop(self, proved: RunFolder, tmp_path: Path) -> None:
        """The child is gone when it returns."""

        def stop() -> None:
            if children := [child for child in psutil.Process().children() if _is_prover(child)]:
                seen.extend(children)
                raise Cancelled

        seen: list[psutil.Process] = []
        with pytest.raises(Cancelled):
            show_to_vllm(proved.package, _spec(proved), RunFolder(_beside(proved, tmp_path)), stop)

        assert not any(child.is_running() for child in seen)

    def test_notices_an_engine_that_hangs(
        self, proved: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While it starts, and while it answers; it may take any time as long as it goes on."""
        run = RunFolder(_beside(proved, tmp_path))

        def hang() -> None:
            if run.servability.is_file():
                (prover,) = (child for child in psutil.Process().children() if _is_prover(child))
                prover.suspend()
                monkeypatch.setattr(vllm_process, "_SILENCE_SECONDS", 1.0)

        with pytest.raises(Unavailable, match=r"has proved the adapter and did not answer .* it did nothing for 1 s"):
            show_to_vllm(proved.package, _spec(proved), run, hang, _free_sets(proved, 2_000))
        monkeypatch.setattr(vllm_process, "_SILENCE_SECONDS", 0.0)
        with pytest.raises(Unavailable, match=r"could not be asked whether the adapter serves: it did nothing for 0 s"):
            show_to_vllm(proved.package, _spec(proved), run, lambda: None)

        assert not run.prompt_sets.exists()

    def test_that_is_killed_is_no_fault_of_the_run(self, proved: RunFolder, tmp_path: Path) -> None:
        """It is taken up again, as a run that is killed itself; what was answered is kept."""
        run = RunFolder(_beside(proved, tmp_path))

        def kill() -> None:
            if Memo(run.evaluations).has_answers("0.free"):
                for prover in filter(_is_prover, psutil.Process().children()):  # none, once it is dead
                    prover.kill()

        with pytest.raises(ProcessFailed) as caught:
            show_to_vllm(proved.package, _spec(proved), run, kill, _free_sets(proved, 2_000))

        assert caught.value.status == SIGNALLED + signal.SIGKILL
        assert Memo(run.evaluations).answers("0.free")

    def test_tells_of_a_full_disk(self, proved: RunFolder, small_disk: Path) -> None:
        """On which the proof has room, and the answers have not: what there is of them is whole."""
        folder = RunFolder(small_disk / "run")
        folder.path.mkdir()
        shutil.copyfile(proved.spec, folder.spec)

        with pytest.raises(OSError, match="found no space left") as error:
            show_to_vllm(proved.package, _spec(proved), folder, lambda: None, _free_sets(proved, 80))

        assert fault_of(error.value) == DISK_FULL
        assert Memo(folder.evaluations).answers("0.free")

    def test_starts_nothing_where_our_rules_are_enough(self, prepare: Callable[..., RunFolder]) -> None:
        """`static`: the package has passed `validate_adapter`, and nobody else is asked."""
        folder = prepare("static", epoch_count=1)

        run_here(folder)

        assert not folder.servability.exists()
        training = read_package(folder.package).training
        assert training["servability_proof"] == "static"
        assert "vllm_version" not in training


def _packed(manifest: AdapterManifest, source: Path, package: Path) -> Path:
    write_package(package, manifest, {name: source / name for name in FILE_NAMES})
    return package


def _free_sets(run: RunFolder, count: int) -> list[PromptSet]:
    """Each of one prompt that the base answers freely, in a few tokens."""
    (prompt, *_) = (canary.prompt_ids for canary in read_package(run.package).canaries)
    return [PromptSet(f"{number}.free", "", (prompt,), 8, is_constrained=False) for number in range(count)]


def _beside(run: RunFolder, path: Path) -> Path:
    """A run's folder of its own, as the child reads it."""
    folder = path / "run"
    folder.mkdir()
    shutil.copyfile(run.spec, folder / run.spec.name)
    return folder
