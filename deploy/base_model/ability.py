"""Measures what the base model can do without an adapter: exact match per task on fresh documents (greedy)."""

import argparse
import json
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, PreTrainedModel

from deploy.base_model.corpus.example import Example
from deploy.base_model.corpus.mixture import TASKS, draw
from deploy.base_model.tokenizer import END_ID, PAD_ID, encode
from shared.processor import emulates_bfloat16

SEED: Final = 20_000_003  # far from the seeds of training; documents are drawn anew, equal ones can recur by chance
_MOST_NEW_TOKENS: Final = 320
_ROWS: Final = 16


class Score(NamedTuple):
    """Counts for one task. `parses` counts valid JSON and is None where the target is not JSON."""

    documents: int
    exact: int
    parses: int | None


def fresh_examples(per_task: int, seed: int = SEED) -> dict[str, list[Example]]:
    """Returns `per_task` documents of every task, drawn from the training mixture."""
    rng = Random(seed)
    found: dict[str, list[Example]] = {task: [] for task in TASKS}
    while any(len(examples) < per_task for examples in found.values()):
        example = draw(rng)
        if len(found[example.task]) < per_task:
            found[example.task].append(example)
    return found


def answers(model: PreTrainedModel, tokenizer: Tokenizer, examples: Sequence[Example]) -> list[str]:
    """Returns the greedy answer to each prompt, without the stop token."""
    texts: list[str] = [""] * len(examples)
    prompts = [encode(tokenizer, example)[0] for example in examples]
    order = sorted(range(len(examples)), key=lambda at: len(prompts[at]))
    for begin in range(0, len(order), _ROWS):
        rows = order[begin : begin + _ROWS]
        longest = max(len(prompts[at]) for at in rows)
        ids = torch.tensor([[PAD_ID] * (longest - len(prompts[at])) + prompts[at] for at in rows])
        mask = torch.tensor([[0] * (longest - len(prompts[at])) + [1] * len(prompts[at]) for at in rows])
        with torch.inference_mode():
            out = model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=_MOST_NEW_TOKENS,
                do_sample=False,
                eos_token_id=END_ID,
                pad_token_id=PAD_ID,
            )  # type: ignore[operator]  # transformers types it as a module
        for at, row in zip(rows, out[:, longest:].tolist(), strict=True):
            end = row.index(END_ID) if END_ID in row else len(row)
            texts[at] = tokenizer.decode(row[:end], skip_special_tokens=False)
    return texts


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _dtype() -> torch.dtype:
    return torch.float32 if emulates_bfloat16() else torch.bfloat16


def measure(folder: Path, per_task: int) -> dict[str, Score]:
    """Returns the score of each task for the model in a folder."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=_dtype(), local_files_only=True).eval()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    scores: dict[str, Score] = {}
    for task, examples in fresh_examples(per_task).items():
        texts = answers(model, tokenizer, examples)
        exact = sum(text == example.output for text, example in zip(texts, examples, strict=True))
        parses = sum(map(_is_json, texts)) if task.startswith(("extract", "document")) else None
        scores[task] = Score(len(examples), exact, parses)
    return scores


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table of exact match per task."""
    parser = argparse.ArgumentParser(prog="python -m deploy.base_model.ability", description=__doc__)
    parser.add_argument("--model", type=Path, default=Path(__file__).parent / "weights", help="folder of the model")
    parser.add_argument("--documents", type=int, default=200, help="documents of each task (default: 200)")
    options = parser.parse_args(arguments)
    begun = time.monotonic()
    scores = measure(options.model, options.documents)
    print("| task | documents | exact match | valid JSON |\n|---|---|---|---|")
    for task, score in scores.items():
        parses = "-" if score.parses is None else f"{score.parses / score.documents:.2f}"
        print(f"| {task} | {score.documents} | {score.exact / score.documents:.2f} | {parses} |")
    print(f"{time.monotonic() - begun:.0f} s on {platform.machine()}, greedy, {_dtype()}")


if __name__ == "__main__":
    main()
