"""Golden rows as token ids and labels, proved before a step is taken."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import FieldViolation, InvalidInput
from shared.prompt import PromptRenderer

IGNORED = -100
"""Label of tokens that are read, not learned."""


@dataclass(frozen=True)
class Row:
    """A golden example with its line in the upload."""

    number: int
    input: str
    output: str


@dataclass(frozen=True)
class Example:
    """`labels[i]` is `input_ids[i]` for the answer's tokens and `IGNORED` for the prompt's; equal lengths."""

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    prompt_length: int


def read_rows(path: Path) -> list[Row]:
    """Rows of a run's file."""
    with path.open(encoding="utf-8") as file:
        return [Row(body["row"], body["input"], body["output"]) for body in map(json.loads, file)]


def compile_examples(rows: Sequence[Row], renderer: PromptRenderer, max_tokens: int) -> list[Example]:
    """Token ids and labels of every row, in order.

    Proved for each: the prompt is an exact token prefix, at least one token is learned, the last learned token is the
    one the server stops on, nothing is cut.

    Raises:
        InvalidInput: CONTEXT_TOO_LONG naming every row that does not fit.
    """
    examples, faults = [], []
    for row in rows:
        prompt, completion = renderer.prompt_ids(row.input), renderer.completion_ids(row.output)
        if len(prompt) + len(completion) > max_tokens:
            faults.append(
                FieldViolation(
                    f"rows[{row.number}]",
                    f"takes {len(prompt)} + {len(completion)} tokens, the context holds {max_tokens}",
                )
            )
            continue
        ids = (*prompt, *completion)
        labels = (*(IGNORED for _ in prompt), *completion)
        assert ids[: len(prompt)] == tuple(prompt)
        assert labels[-1] == renderer.stop_ids[0]
        assert len(ids) == len(labels) > len(prompt) > 0
        examples.append(Example(ids, labels, len(prompt)))
    if faults:
        raise InvalidInput(
            "CONTEXT_TOO_LONG",
            f"{len(faults)} rows exceed the context of {max_tokens} tokens: "
            + ", ".join(fault.path for fault in faults[:20]),
            hint="shorten or drop these rows",
            violations=faults,
        )
    return examples
