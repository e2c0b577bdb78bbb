"""One golden example, token by token: what is read, what is learned, and what was proved of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from shared.errors import StateConflict
from shared.prompt import PromptRenderer
from shared.storage.base import BlobStore
from trainer_svc.curation.compiled_example import IGNORED, Example, ExampleCompiler, Proof
from trainer_svc.curation.judgement import MAX_INPUT_BYTES, MAX_OUTPUT_BYTES
from trainer_svc.curation.row_file import find_row
from trainer_svc.domain.dataset import CheckedRow, Dataset


class Role(enum.StrEnum):
    """What a token is part of."""

    TEMPLATE = "template"
    INPUT = "input"
    OUTPUT = "output"
    STOP = "stop"


@dataclass(frozen=True)
class Token:
    """A token of an example; `text` is empty for control tokens, which have a `control_name`."""

    id: int
    text: bytes
    control_name: str
    role: Role
    is_learned: bool


@dataclass(frozen=True)
class Preview:
    """A row as it is trained on, or would be if it were not held out."""

    row_number: int
    is_held_out: bool
    tokens: tuple[Token, ...]
    prompt_length: int
    context_tokens: int
    faults: dict[Proof, str]
    """Proofs that fail, with what is wrong; all others hold."""


def preview_row(blobs: BlobStore, dataset: Dataset, number: int, compiler: ExampleCompiler) -> Preview | None:
    """The row of a number in an active dataset; None where it is in neither split.

    Raises:
        StateConflict: STATE_CONFLICT, the row is larger than a row may be and was held out all the same.
    """
    for digest, is_held_out in ((dataset.train_rows, False), (dataset.holdout_rows, True)):
        row = find_row(blobs.read(digest), number)
        if row is None:
            continue
        _check_size(row)
        (compiled,) = compiler.compile([row])
        example = compiled.example
        tokens = _tokens(example, compiler.renderer) if example is not None else ()
        length = example.prompt_length if example is not None else 0
        return Preview(number, is_held_out, tokens, length, compiler.max_tokens, compiled.faults)
    return None


def _check_size(row: CheckedRow) -> None:
    """Held-out rows that break the contract are kept as they are, and one token of each of a million is no preview."""
    for field, text, limit in (("input", row.input, MAX_INPUT_BYTES), ("output", row.output, MAX_OUTPUT_BYTES)):
        size = len(text.encode(errors="surrogatepass"))
        if size > limit:
            message = f"row {row.row} is not shown: its {field} has {size} bytes, the limit of a row is {limit}"
            raise StateConflict("STATE_CONFLICT", message, metadata={"size_bytes": str(size)})


def _tokens(example: Example, renderer: PromptRenderer) -> tuple[Token, ...]:
    found = []
    for (place, token), label in zip(enumerate(example.input_ids), example.labels, strict=True):
        text = renderer.token_bytes(token)
        name = renderer.token_name(token) if text is None else ""
        role = _role(place, example, renderer)
        found.append(Token(token, text or b"", name, role, label != IGNORED))
    return tuple(found)


def _role(place: int, example: Example, renderer: PromptRenderer) -> Role:
    before, after = renderer.frame_tokens
    if place >= example.prompt_length:
        return Role.STOP if place == len(example.input_ids) - 1 else Role.OUTPUT
    return Role.INPUT if before <= place < example.prompt_length - after else Role.TEMPLATE
