"""Golden rows as tokens: what is proved of each, and what breaks each proof."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.base_model import BaseModel
from shared.errors import InvalidInput
from shared.prompt import PromptRenderer
from trainer_svc.curation.compiled_example import (
    IGNORED,
    Example,
    ExampleCompiler,
    Proof,
    compile_examples,
    prove,
)
from trainer_svc.domain.dataset import CheckedRow

ROW = CheckedRow(7, "two for Lisbon", '{"city":"Lisbon"}')
END = 1
CONTENTS = "{% for m in messages %}{{ m.content }}{% endfor %}<|output|>"
"""A template that frames nothing."""


@pytest.fixture(scope="module")
def renderer(tiny_base: BaseModel) -> PromptRenderer:
    """A renderer over the tiny base model."""
    return PromptRenderer.load(tiny_base)


@pytest.fixture
def changed(tiny_base: BaseModel, tmp_path: Path) -> Callable[..., PromptRenderer]:
    """A renderer of the tiny base with other entries in its tokenizer or another template."""

    def load(template: str | None = None, **entries: Any) -> PromptRenderer:
        folder = tmp_path / "base"
        shutil.copytree(tiny_base.folder, folder)
        tokenizer = json.loads((folder / "tokenizer.json").read_text()) | entries
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
        if template is not None:
            config = json.loads((folder / "tokenizer_config.json").read_text())
            config |= {"chat_template": template, "bos_token": {"content": "<|system|>"}}
            (folder / "tokenizer_config.json").write_text(json.dumps(config))
        return PromptRenderer.load(BaseModel.load(folder))

    return load


def _begins_with(token: str, number: int) -> dict[str, Any]:
    """A tokenizer's entry that puts a token before every text."""
    single = [{"SpecialToken": {"id": token, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    special = {token: {"id": token, "ids": [number], "tokens": [token]}}
    return {"post_processor": {"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": special}}


def _faults(renderer: PromptRenderer, row: CheckedRow = ROW) -> dict[Proof, str]:
    (compiled,) = ExampleCompiler(renderer, 512).compile([row])
    return compiled.faults


class TestCompileExamples:
    """Rows that hold every proof."""

    def test_learn_the_answer_and_its_stop_token_and_nothing_else(self, renderer: PromptRenderer) -> None:
        """Labels cover exactly the completion; the prompt is a token prefix of the example."""
        (example,) = compile_examples([ROW], renderer, 512)

        prompt = renderer.prompt_ids(ROW.input)
        assert list(example.input_ids[: example.prompt_length]) == prompt
        assert set(example.labels[: example.prompt_length]) == {IGNORED}
        assert example.labels[example.prompt_length :] == example.input_ids[example.prompt_length :]
        assert renderer.decode(example.labels[example.prompt_length :]) == ROW.output
        assert example.labels[-1] == END

    def test_keep_text_that_spells_a_marker_as_text(self, renderer: PromptRenderer) -> None:
        """Neither an input nor an answer can end a turn by writing the stop token's name."""
        (example,) = compile_examples([CheckedRow(1, "a<|end|>b", '"<|end|>"')], renderer, 512)

        assert list(example.input_ids).count(END) == 1

    def test_stay_in_order_over_many_batches(self, renderer: PromptRenderer, monkeypatch: pytest.MonkeyPatch) -> None:
        """How rows are tokenized together changes nothing."""
        rows = [CheckedRow(i, f"row {i}" * (i % 5 + 1), str(i)) for i in range(40)]
        whole = compile_examples(rows, renderer, 512)
        monkeypatch.setattr("trainer_svc.curation.compiled_example._BATCH_CHARS", 50)

        assert compile_examples(rows, renderer, 512) == whole
        assert [renderer.decode(e.labels[e.prompt_length :]) for e in whole] == [row.output for row in rows]

    def test_are_all_named_when_they_do_not_fit(self, renderer: PromptRenderer) -> None:
        """Nothing is cut, and all faults are told at once."""
        rows = [CheckedRow(1, "short", "1"), CheckedRow(2, "x" * 600, "1"), CheckedRow(3, "short", "9" * 600)]

        with pytest.raises(InvalidInput) as caught:
            compile_examples(rows, renderer, 512)

        assert caught.value.reason == "CONTEXT_TOO_LONG"
        assert [violation.path for violation in caught.value.violations] == ["rows[2]", "rows[3]"]
        assert "+ 601 tokens" in caught.value.violations[1].description

    def test_are_named_when_they_have_no_tokens(self, renderer: PromptRenderer) -> None:
        """Half a character is no text that a tokenizer takes: its row is named, the others compile."""
        with pytest.raises(InvalidInput) as caught:
            compile_examples([ROW, CheckedRow(9, "a\ud800b", "1")], renderer, 512)

        assert caught.value.reason == "FIELD_INVALID"
        assert [violation.path for violation in caught.value.violations] == ["rows[9]"]


class TestProofs:
    """Tokenizers, templates and examples that break a proof."""

    def test_hold_for_the_shipped_base(self, shipped_base: BaseModel) -> None:
        """Letters, digits and signs of any language."""
        row = CheckedRow(1, "Zwölf Tische für 日本 🙂\n", '{"city":"Malmö","tables":12}')

        assert _faults(PromptRenderer.load(shipped_base), row) == {}

    def test_the_answer_is_whole(self, changed: Callable[..., PromptRenderer]) -> None:
        """A tokenizer that writes in small letters would teach another answer than the golden one."""
        faults = _faults(changed(normalizer={"type": "Lowercase"}))

        assert list(faults) == [Proof.ANSWER_IS_WHOLE]

    def test_a_begin_token_comes_once(self, changed: Callable[..., PromptRenderer]) -> None:
        """A template that writes it beside the tokenizer's own is refused; one that calls it by name is right."""
        twice = changed("{{ bos_token }}<|system|>" + CONTENTS, **_begins_with("<|system|>", 2))

        faults = _faults(twice)

        assert list(faults) == [Proof.ONE_BOS]
        assert "2 times" in faults[Proof.ONE_BOS]

    @pytest.mark.parametrize("template", ["{{ bos_token }}" + CONTENTS, CONTENTS])
    def test_a_begin_token_is_never_missing(self, changed: Callable[..., PromptRenderer], template: str) -> None:
        """Where a template says nothing of it, the tokenizer's own begins the prompt, in training as in serving."""
        renderer = changed(template, **_begins_with("<|system|>", 2))

        assert _faults(renderer) == {}
        assert renderer.prompt_ids("a")[0] == renderer.bos_id == 2

    def test_the_prompt_is_a_prefix(self, renderer: PromptRenderer, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the server makes of the input decides, not what many inputs at once become."""
        batch = renderer.pairs_of_ids
        padded = lambda pairs: [([0, *prompt], completion) for prompt, completion in batch(pairs)]  # noqa: E731
        monkeypatch.setattr(renderer, "pairs_of_ids", padded)

        assert list(_faults(renderer)) == [Proof.PROMPT_IS_PREFIX]

    @pytest.mark.parametrize(
        ("change", "proof"),
        [
            (lambda ids, labels, start: (ids, (IGNORED,) * start + labels[start:-1], start), Proof.ANSWER_IS_LEARNED),
            (lambda ids, labels, start: (ids, ids, start), Proof.ANSWER_IS_LEARNED),
            (lambda ids, labels, start: (ids[:start], labels[:start], start), Proof.ANSWER_IS_LEARNED),
            (lambda ids, labels, start: (ids[:-1], labels[:-1], start), Proof.ENDS_WITH_STOP),
            (lambda ids, labels, start: ((*ids, END), (*labels, END), start), Proof.ENDS_WITH_STOP),
            (lambda ids, labels, start: (ids[:-3] + ids[-1:], labels[:-3] + labels[-1:], start), Proof.ANSWER_IS_WHOLE),
        ],
    )
    def test_labels_and_end_are_held(
        self, renderer: PromptRenderer, change: Callable[..., tuple[Any, Any, int]], proof: Proof
    ) -> None:
        """A mask that is too short, learns the prompt or nothing, and an end without or with two stops are found."""
        (good,) = ExampleCompiler(renderer, 512).compile([ROW])
        assert good.example is not None

        broken = Example(*change(good.example.input_ids, good.example.labels, good.example.prompt_length))

        assert proof in prove(broken, ROW.output, renderer, 512)

    def test_length_is_told_with_both_parts_and_the_limit(self, renderer: PromptRenderer) -> None:
        """Prompt and answer, so that one sees which to shorten."""
        row = CheckedRow(1, "##", "1")
        (fitting,) = ExampleCompiler(renderer, 6).compile([row])
        (long,) = ExampleCompiler(renderer, 5).compile([row])

        assert fitting.faults == {}
        assert long.faults == {Proof.FITS_CONTEXT: "takes 4 + 2 tokens, the context holds 5"}
