"""The training engine on a tiny model: real torch, peft and bitsandbytes, real child processes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from shared.adapter.package import WEIGHTS_NAME, read_package
from shared.adapter.validate import validate_adapter
from shared.base_model import BaseModel
from shared.contracts.compiler import ContractCompiler
from shared.contracts.spec import ContractKind, ContractSpec
from shared.prompt import PromptRenderer
from tests.conftest import write_tiny_base
from trainer_svc.domain.run import EXIT_CANCELLED, EXIT_DONE, EXIT_USER_ERROR, RunFolder, RunSpec, TrainingMode
from trainer_svc.engine import base as engine_base
from trainer_svc.engine.example import IGNORED, Row, compile_examples
from trainer_svc.engine.generation import generate
from trainer_svc.engine.loss import completion_loss

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

CONTRACT = ContractSpec(
    ContractKind.JSON,
    json_schema=json.dumps(
        {
            "type": "object",
            "properties": {
                "city": {"enum": ["Rome", "Oslo", "Lima"]},
                "count": {"type": "integer", "minimum": 0, "maximum": 99},
            },
            "required": ["city", "count"],
            "additionalProperties": False,
        }
    ),
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    """A tiny Llama with random weights."""
    folder = tmp_path_factory.mktemp("base")
    write_tiny_base(folder)
    config = LlamaConfig.from_pretrained(folder)
    torch.manual_seed(0)
    keep = {path.name: path.read_bytes() for path in folder.iterdir()}
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    for name, data in keep.items():
        (folder / name).write_bytes(data)
    return BaseModel.load(folder)


def _rows(count: int) -> list[Row]:
    cities = ("Rome", "Oslo", "Lima")
    return [
        Row(i, f"{i % 100} people in {cities[i % 3]}", f'{{"city":"{cities[i % 3]}","count":{i % 100}}}')
        for i in range(count)
    ]


def _batch(base: BaseModel) -> tuple[torch.Tensor, torch.Tensor]:
    examples = compile_examples(_rows(4), PromptRenderer.load(base), 512)
    width = max(len(e.input_ids) for e in examples)
    ids = torch.tensor([list(e.input_ids) + [0] * (width - len(e.input_ids)) for e in examples])
    labels = torch.tensor([list(e.labels) + [IGNORED] * (width - len(e.labels)) for e in examples])
    return ids, labels


class TestCompletionLoss:
    """Loss over learned tokens only, in chunks."""

    def test_equals_the_naive_loss_in_value_and_gradient(
        self, base: BaseModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Chunks and the selection of learned tokens change nothing."""
        monkeypatch.setattr("trainer_svc.engine.loss.CHUNK_TOKENS", 7)
        model = LlamaForCausalLM.from_pretrained(base.folder, dtype=torch.float32)
        ids, labels = _batch(base)

        ours = completion_loss(model, ids, torch.ones_like(ids), labels)
        ours.backward()
        gradient = model.model.layers[0].mlp.up_proj.weight.grad.clone()
        model.zero_grad()
        logits = model(input_ids=ids).logits[:, :-1]
        naive = functional.cross_entropy(
            logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="sum"
        )
        naive.backward()

        torch.testing.assert_close(ours, naive)
        torch.testing.assert_close(gradient, model.model.layers[0].mlp.up_proj.weight.grad)


def _evaluation_harm(base: BaseModel) -> tuple[float, float]:
    """Cosine of the embedding's gradients around an evaluation, and share of base weight bytes that a save changes."""
    import bitsandbytes

    model = engine_base.load_base(base.folder, TrainingMode.QLORA)
    embedding = model.model.embed_tokens.weight
    embedding.requires_grad_(requires_grad=True)
    ids, labels = _batch(base)

    def gradient() -> torch.Tensor:
        model.train()
        model.zero_grad()
        completion_loss(model, ids, torch.ones_like(ids), labels).backward()
        return embedding.grad.flatten().float().clone()

    def weights() -> list[torch.Tensor]:
        layers = [m for m in model.modules() if isinstance(m, bitsandbytes.nn.Linear4bit)]
        assert layers
        return [m.weight.data.clone().flatten() for m in layers]

    before, stored = gradient(), weights()
    model.eval()
    with torch.inference_mode():
        model(input_ids=ids)
    after = gradient()  # before the save, which would unpack the weights again
    model.state_dict()
    changed = max(float((a != b).float().mean()) for a, b in zip(stored, weights(), strict=True))
    return float(functional.cosine_similarity(before, after, dim=0)), changed


class TestQuantizedBase:
    """QLoRA across an evaluation pass."""

    def test_keeps_gradients_and_weights(self, base: BaseModel) -> None:
        """Evaluating and saving between two steps changes neither the gradient nor one byte of the base."""
        cosine, changed = _evaluation_harm(base)

        assert cosine > 0.999
        assert changed == 0

    @pytest.mark.filterwarnings("ignore:bitsandbytes..gemv_4bit:UserWarning")
    def test_the_fix_is_needed(self, base: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without it bitsandbytes damages training on CPUs with AVX512-BF16: when this fails, the fix can go."""
        if "avx512_bf16" not in Path("/proc/cpuinfo").read_text():
            pytest.skip("this CPU has no AVX512-BF16, so bitsandbytes does not repack weights")
        monkeypatch.setattr(engine_base, "keep_quantized_weights", lambda model: None)

        cosine, changed = _evaluation_harm(base)

        assert cosine < 0.999 or changed > 0


class TestGenerate:
    """Greedy generation under a contract."""

    def test_a_batch_gives_what_each_prompt_gives_alone(self, base: BaseModel, tmp_path: Path) -> None:
        """Padding and neighbours change no answer, and every answer is complete."""
        model = LlamaForCausalLM.from_pretrained(base.folder, dtype=torch.float32).eval()
        contract = ContractCompiler(tmp_path, base.vocabulary()).compile(CONTRACT)
        renderer = PromptRenderer.load(base)
        prompts = [renderer.prompt_ids("x" * length) for length in (1, 30, 7)]

        together = generate(model, contract.automaton, prompts, 512)
        alone = [generate(model, contract.automaton, [prompt], 512)[0] for prompt in prompts]

        assert together == alone
        for answer in together:
            assert contract.check(renderer.decode(answer)) == ()


@pytest.fixture
def run(base: BaseModel, tmp_path: Path) -> Callable[..., RunFolder]:
    """Writes a run's folder as the service would."""

    def write(name: str, rows: list[Row] | None = None, **settings: Any) -> RunFolder:
        folder = RunFolder(tmp_path / name)
        folder.path.mkdir()
        spec = RunSpec(
            job="tenants/acme/jobs/test",
            base_model_dir=str(base.folder),
            contract_name="tenants/acme/contracts/answer",
            contract=CONTRACT.canonical().decode(),
            contract_cache_dir=str(tmp_path / "contracts"),
            dataset_digest="sha256:" + "0" * 64,
            instruction_prompt="Answer with JSON.",
            **{"epoch_count": 3, "rank": 4, **settings},
        )
        folder.spec.write_bytes(spec.to_json())
        for path, part in ((folder.train_rows, rows or _rows(160)), (folder.holdout_rows, _rows(9))):
            lines = (json.dumps({"row": r.number, "input": r.input, "output": r.output}) for r in part)
            path.write_text("\n".join(lines) + "\n")
        return folder

    return write


def _start(folder: RunFolder) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
    with (folder.path / "log").open("ab") as log:
        command = [sys.executable, "-m", "trainer_svc.worker", str(folder.path)]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def _events(folder: RunFolder, kind: str) -> list[dict[str, Any]]:
    lines = folder.events.read_bytes().split(b"\n")[:-1] if folder.events.exists() else []
    return [event for event in map(json.loads, lines) if event["type"] == kind]


def _wait_for_checkpoint(folder: RunFolder, process: subprocess.Popen[bytes]) -> None:
    while not _events(folder, "checkpoint"):
        assert process.poll() is None, (folder.path / "log").read_text()[-2000:]
        time.sleep(0.02)


def _digest(folder: RunFolder) -> str:
    return hashlib.sha256((folder.package / WEIGHTS_NAME).read_bytes()).hexdigest()


class TestWorker:
    """The child process that runs a job."""

    def test_a_killed_run_ends_with_the_same_bytes(self, run: Callable[..., RunFolder], base: BaseModel) -> None:
        """Kill -9 after a checkpoint and a second start give the adapter of an uninterrupted run, bit for bit."""
        whole, killed = run("whole"), run("killed")
        assert _start(whole).wait() == EXIT_DONE, (whole.path / "log").read_text()[-2000:]
        process = _start(killed)
        _wait_for_checkpoint(killed, process)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        (killed.checkpoints / "checkpoint-999").mkdir()  # torn: no mark that it was written to its end

        assert _start(killed).wait() == EXIT_DONE, (killed.path / "log").read_text()[-2000:]

        assert _digest(killed) == _digest(whole)
        steps = [event["step"] for event in _events(killed, "progress")]
        assert len(set(steps)) < len(_events(whole, "progress")) * 2
        manifest = read_package(killed.package)
        validate_adapter(killed.package, manifest, base, max_rank=64)
        assert manifest.canaries
        assert manifest.instruction_prompt_tokens > 0

    def test_another_seed_gives_another_adapter(self, run: Callable[..., RunFolder]) -> None:
        """The seed is an input of the run."""
        first, second = run("first", epoch_count=1), run("second", epoch_count=1, seed=1)

        assert _start(first).wait() == _start(second).wait() == EXIT_DONE
        assert _digest(first) != _digest(second)

    def test_qlora_makes_a_servable_package(self, run: Callable[..., RunFolder], base: BaseModel) -> None:
        """A 4-bit base trains an adapter that passes the same checks, with the mode in its manifest."""
        folder = run("qlora", mode=TrainingMode.QLORA, epoch_count=1)

        assert _start(folder).wait() == EXIT_DONE, (folder.path / "log").read_text()[-2000:]

        manifest = read_package(folder.package)
        validate_adapter(folder.package, manifest, base, max_rank=64)
        assert manifest.training["mode"] == "qlora"

    def test_cancel_keeps_the_last_checkpoint(self, run: Callable[..., RunFolder]) -> None:
        """A cancelled run stops at a step, publishes nothing and could go on."""
        folder = run("cancelled", epoch_count=50)
        process = _start(folder)
        _wait_for_checkpoint(folder, process)

        folder.cancel.touch()

        assert process.wait() == EXIT_CANCELLED
        assert list(folder.checkpoints.glob("checkpoint-*/seal.json"))
        assert not folder.package.exists()

    def test_a_row_that_does_not_fit_is_the_tenants_mistake(self, run: Callable[..., RunFolder]) -> None:
        """Nothing is cut: the run fails naming the row."""
        rows = [*_rows(20), Row(21, "x" * 3000, '{"city":"Rome","count":1}')]
        folder = run("long", rows=rows)

        assert _start(folder).wait() == EXIT_USER_ERROR

        failure = json.loads(folder.failure.read_text())
        assert (failure["reason"], failure["user_error"]) == ("CONTEXT_TOO_LONG", True)
        assert "rows[21]" in failure["message"]
