"""The training engine on a tiny model: real torch, peft and bitsandbytes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from bitsandbytes.nn import modules as bitsandbytes_layers
from peft import LoraConfig, get_peft_model
from torch.nn import functional
from transformers import LlamaForCausalLM

from shared.base_model import BaseModel
from shared.contracts.compiler import ContractCompiler
from shared.prompt import PromptRenderer
from tests.e2e.training_sample import CONTRACT, rows
from tests.quantized_base import changed_share, cosine, gradient, stored_weights
from trainer_svc.curation.compiled_example import IGNORED, compile_examples
from trainer_svc.domain.run import TrainingMode
from trainer_svc.engine import base as engine_base
from trainer_svc.engine.batching import collate
from trainer_svc.engine.canary import pick_canaries
from trainer_svc.engine.checkpoint import checkpoint_folder, last_whole, seal
from trainer_svc.engine.decoding import Constrained, Free
from trainer_svc.engine.generation import generate
from trainer_svc.engine.loss import completion_loss
from trainer_svc.engine.served import Server

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]


def _batch(base: BaseModel) -> dict[str, torch.Tensor]:
    return collate(compile_examples(rows(4), PromptRenderer.load(base), 512))


class TestCompletionLoss:
    """Loss over learned tokens only, in chunks."""

    @pytest.mark.parametrize("least_chunk_tokens", [7, 4096], ids=["chunks", "whole"])
    def test_equals_the_naive_loss_in_value_and_gradient(
        self, base: BaseModel, monkeypatch: pytest.MonkeyPatch, least_chunk_tokens: int
    ) -> None:
        """Chunks, and the selection of learned tokens, change nothing; no mask is needed for what is padded."""
        monkeypatch.setattr("trainer_svc.engine.loss.LEAST_CHUNK_TOKENS", least_chunk_tokens)
        monkeypatch.setattr("trainer_svc.engine.loss.CHUNK_BYTES", 0)
        model = LlamaForCausalLM.from_pretrained(base.folder, dtype=torch.float32)
        batch = _batch(base)
        ids, labels = batch["input_ids"], batch["labels"]

        ours = completion_loss(model, ids, labels)
        ours.backward()
        gradient = model.model.layers[0].mlp.up_proj.weight.grad.clone()
        model.zero_grad()
        logits = model(input_ids=ids, attention_mask=batch["attention_mask"]).logits[:, :-1]
        naive = functional.cross_entropy(
            logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="sum"
        )
        naive.backward()

        torch.testing.assert_close(ours, naive)
        torch.testing.assert_close(gradient, model.model.layers[0].mlp.up_proj.weight.grad)


def _evaluation_harm(base: BaseModel) -> tuple[float, float]:
    """Cosine of the embedding's gradients around an evaluation, and share of base weight bytes that a save changes."""
    model = engine_base.load_base(base.folder, TrainingMode.QLORA)
    embedding = model.model.embed_tokens.weight
    embedding.requires_grad_(requires_grad=True)
    batch = _batch(base)
    ids, labels = batch["input_ids"], batch["labels"]
    before, stored = gradient(model, ids, labels, [embedding]), stored_weights(model)
    model.eval()
    with torch.inference_mode():
        model(input_ids=ids)
    after = gradient(model, ids, labels, [embedding])  # before the save, which would unpack the weights again
    model.state_dict()
    return cosine(before, after), changed_share(stored, stored_weights(model))


class TestQuantizedBase:
    """QLoRA across an evaluation pass."""

    def test_keeps_gradients_and_weights(self, base: BaseModel) -> None:
        """Evaluating and saving between two steps changes neither the gradient nor one byte of the base."""
        cosine, changed = _evaluation_harm(base)

        assert cosine > 0.999
        assert changed == 0

    @pytest.mark.parametrize("is_guarded", [True, False])
    def test_is_not_repacked_by_an_evaluation(
        self, base: BaseModel, monkeypatch: pytest.MonkeyPatch, is_guarded: bool
    ) -> None:
        """On a CPU that says it has AVX512-BF16, as this one does here; without the guard every layer would be."""
        repacked: list[torch.Tensor] = []
        keep = lambda weight, state: (repacked.append(weight), (weight, state))[1]  # noqa: E731
        monkeypatch.setattr(bitsandbytes_layers, "has_avx512bf16", lambda: True)
        monkeypatch.setattr(bitsandbytes_layers, "_convert_weight_packed_for_cpu", keep)
        if not is_guarded:
            monkeypatch.setattr(engine_base, "keep_quantized_weights", lambda model: None)

        model = engine_base.load_base(base.folder, TrainingMode.QLORA)
        with torch.inference_mode():
            model(input_ids=_batch(base)["input_ids"])

        layers = [module for module in model.modules() if isinstance(module, bitsandbytes_layers.Linear4bit)]
        assert len(layers) == 7 * base.layer_count
        assert {layer.support_avx512bf16_for_cpu for layer in layers} == {not is_guarded}
        assert len(repacked) == (0 if is_guarded else len(layers))

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

        together = generate(model, Constrained(contract), prompts, 512)
        alone = [generate(model, Constrained(contract), [prompt], 512)[0] for prompt in prompts]

        assert together == alone
        for answer in together:
            assert contract.check(renderer.decode(answer)) == ()

    def test_what_all_prompts_begin_with_is_read_once(
        self, base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An instruction prompt before rows of different lengths: the same answers from a fifth of the tokens."""
        model = LlamaForCausalLM.from_pretrained(base.folder, dtype=torch.float32).eval()
        contract = ContractCompiler(tmp_path, base.vocabulary()).compile(CONTRACT)
        renderer = PromptRenderer.load(base)
        prompts = [renderer.prompt_ids("x" * length, "Answer with JSON. " * 12) for length in (1, 30, 7, 2, 12)]
        read: list[int] = []
        watch = lambda module, args, kwargs: read.append(kwargs["input_ids"].numel())  # noqa: E731
        model.register_forward_pre_hook(watch, with_kwargs=True)

        together = generate(model, Constrained(contract), prompts, 512)
        of_prompts = read[0] + read[1]
        alone = [generate(model, Constrained(contract), [prompt], 512)[0] for prompt in prompts]

        assert together == alone
        assert of_prompts < sum(map(len, prompts)) / 2

    def test_a_free_answer_ends_with_a_stop_token_or_its_budget(self, base: BaseModel) -> None:
        """Nothing holds it: it is the model's best token at each place."""
        model = LlamaForCausalLM.from_pretrained(base.folder, dtype=torch.float32).eval()
        prompt = PromptRenderer.load(base).prompt_ids("x")

        (free,) = generate(model, Free(()), [prompt], 512, output_tokens=12)
        (stopped,) = generate(model, Free((free[5],)), [prompt], 512, output_tokens=12)

        assert len(free) == 12
        assert stopped == free[: free.index(free[5]) + 1]
        logits = model(torch.tensor([[*prompt, *free]])).logits[0]
        assert logits.argmax(-1)[len(prompt) - 1 : -1].tolist() == free


class TestPickCanaries:
    """Measuring how firmly an answer is replayed."""

    def test_takes_answers_that_the_adapter_replays_and_the_base_does_not(
        self, base: BaseModel, tmp_path: Path
    ) -> None:
        """Answers that the base model gives too are passed over while others are there."""
        contract = ContractCompiler(tmp_path, base.vocabulary()).compile(CONTRACT)
        renderer = PromptRenderer.load(base)
        plain = LlamaForCausalLM.from_pretrained(base.folder, dtype=torch.float32)
        model = get_peft_model(plain, LoraConfig(r=4, target_modules=["q_proj", "up_proj"])).eval()
        prompts = [renderer.prompt_ids(row.input) for row in rows(12)]
        alike = generate(model, Constrained(contract), prompts, 512)  # B is zero at first: the base's own answers
        torch.manual_seed(1)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter)
        other = generate(model, Constrained(contract), prompts, 512)
        assert alike != other

        canaries = pick_canaries(model, Server(base, renderer, contract, lambda: None), prompts)

        chosen = [list(canary.expected_ids) for canary in canaries]
        assert all(answer in other for answer in chosen)
        assert chosen[0] not in alike


class TestCheckpoint:
    """Which resume state is trusted."""

    def test_the_newest_whole_one_is_taken_and_the_rest_is_removed(self, tmp_path: Path) -> None:
        """A torn folder and a damaged file are passed over; step 9 comes before step 10."""
        for step in (8, 9, 10, 11):
            folder = checkpoint_folder(tmp_path, step)
            folder.mkdir()
            (folder / "optimizer.pt").write_bytes(b"state %d" % step)
            if step != 11:
                seal(folder)
        (checkpoint_folder(tmp_path, 10) / "optimizer.pt").write_bytes(b"state 1!")

        newest = last_whole(tmp_path)

        assert newest == checkpoint_folder(tmp_path, 9)
        assert {folder.name for folder in tmp_path.iterdir()} == {"checkpoint-8", "checkpoint-9"}

    def test_none_where_there_is_none(self, tmp_path: Path) -> None:
        """A first attempt starts from the beginning."""
        assert last_whole(tmp_path / "absent") is None
