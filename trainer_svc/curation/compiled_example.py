"""Golden rows as token ids and labels, proved before a step is taken."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from shared.errors import FieldViolation, InternalFault, InvalidInput
from shared.prompt import PromptRenderer
from trainer_svc.domain.dataset import CheckedRow

IGNORED = -100
"""Label of tokens that are read, not learned."""
_BATCH_CHARS = 256 << 10
"""Text that is tokenized at once: its tokens take up to 150 bytes a character until they are examples."""
_SHOWN_ROWS = 20


class Proof(enum.StrEnum):
    """What holds for every example that is trained on."""

    PROMPT_IS_PREFIX = "prompt_is_prefix"
    """It begins with exactly the tokens that the server makes of the input."""
    ANSWER_IS_LEARNED = "answer_is_learned"
    """Every token of the answer is learned, at least one, and none of the prompt."""
    ENDS_WITH_STOP = "ends_with_stop"
    """The last token that is learned is the one that the server stops on, and no other is."""
    ONE_BOS = "one_bos"
    """It begins with the tokenizer's begin token and has no other; none where the tokenizer has none."""
    ANSWER_IS_WHOLE = "answer_is_whole"
    """The learned tokens spell the golden output, letter by letter."""
    FITS_CONTEXT = "fits_context"
    """It has no more tokens than the base model's context holds, so nothing is cut."""


@dataclass(frozen=True)
class Example:
    """`labels[i]` is `input_ids[i]` for the answer's tokens and `IGNORED` for the prompt's; equal lengths."""

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    prompt_length: int

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """Tokens that are read."""
        return self.input_ids[: self.prompt_length]

    @property
    def completion_length(self) -> int:
        """Tokens that are learned, the stop token among them."""
        return len(self.input_ids) - self.prompt_length


@dataclass(frozen=True)
class Compiled:
    """A row with its tokens and with each proof that fails, said in words; no tokens for text that has none."""

    row: CheckedRow
    example: Example | None
    faults: dict[Proof, str]


class ExampleCompiler:
    """Compiles and proves golden rows for one base model."""

    def __init__(
        self, renderer: PromptRenderer, max_tokens: int, *, base_digest: Callable[[], str] = lambda: ""
    ) -> None:
        """`base_digest` is the base model's, asked for where lengths are stored: reading all weights takes a while."""
        self.renderer, self.max_tokens, self.base_digest = renderer, max_tokens, base_digest

    def compile(self, rows: Iterable[CheckedRow]) -> Iterator[Compiled]:
        """Every row, in order, with every proof; what the server makes of an input is asked of it row by row."""
        for compiled in self.tokenize(rows):
            example = compiled.example
            if example is not None and list(example.prompt_ids) != self.renderer.prompt_ids(compiled.row.input):
                fault = "does not begin with the tokens that the server makes of its input"
                yield dataclasses.replace(compiled, faults={**compiled.faults, Proof.PROMPT_IS_PREFIX: fault})
            else:
                yield compiled

    def tokenize(self, rows: Iterable[CheckedRow]) -> Iterator[Compiled]:
        """As `compile`, in half the time, without the proof that the prompt is a prefix; for counting.

        Holds the tokens of a batch at a time.
        """
        for batch in _batches(rows):
            whole = [row for row in batch if _is_text(row)]
            pairs = self.renderer.pairs_of_ids([(row.input, row.output) for row in whole])
            tokens = {id(row): pair for row, pair in zip(whole, pairs, strict=True)}
            for row in batch:
                if id(row) not in tokens:
                    fault = "holds half of a character (a lone surrogate), which no token stands for"
                    yield Compiled(row, None, {Proof.ANSWER_IS_WHOLE: fault})
                    continue
                prompt, completion = tokens[id(row)]
                labels = (*(IGNORED,) * len(prompt), *completion)
                example = Example((*prompt, *completion), labels, len(prompt))
                yield Compiled(row, example, prove(example, row.output, self.renderer, self.max_tokens))


def prove(example: Example, output: str, renderer: PromptRenderer, max_tokens: int) -> dict[Proof, str]:
    """Each proof that fails but for that of the prompt, with what is wrong; empty when all hold."""
    ids, labels, start = example.input_ids, example.labels, example.prompt_length
    found: dict[Proof, str] = {}
    if len(ids) > max_tokens:
        found[Proof.FITS_CONTEXT] = f"takes {start} + {len(ids) - start} tokens, the context holds {max_tokens}"
    if len(ids) <= start or labels != (*(IGNORED,) * start, *ids[start:]):
        found[Proof.ANSWER_IS_LEARNED] = "learns other tokens than those of its answer"
    if labels[-1:] != renderer.stop_ids[:1] or set(labels[:-1]) & set(renderer.stop_ids):
        found[Proof.ENDS_WITH_STOP] = "does not end with the one token that the server stops on"
    if renderer.bos_id is not None and (ids[:1] != (renderer.bos_id,) or ids.count(renderer.bos_id) > 1):
        found[Proof.ONE_BOS] = f"has the begin token {ids.count(renderer.bos_id)} times, once at its head is right"
    if not _spells(ids[start:], output, renderer):
        found[Proof.ANSWER_IS_WHOLE] = "has an output that the base model's tokenizer does not keep letter by letter"
    return found


def compile_examples(rows: Sequence[CheckedRow], renderer: PromptRenderer, max_tokens: int) -> list[Example]:
    """The example of every row, in order; each holds every `Proof`.

    Raises:
        InvalidInput: names every row that does not: CONTEXT_TOO_LONG where length alone is at fault, else
            FIELD_INVALID.
    """
    examples: list[Example] = []
    faults: list[FieldViolation] = []
    proofs: set[Proof] = set()
    for compiled in ExampleCompiler(renderer, max_tokens).compile(rows):
        proofs.update(compiled.faults)
        faults.extend(FieldViolation(f"rows[{compiled.row.row}]", fault) for fault in compiled.faults.values())
        if compiled.example is not None and not compiled.faults:
            examples.append(compiled.example)
    if not faults:
        return examples
    paths = list(dict.fromkeys(fault.path for fault in faults))
    shown = ", ".join(paths[:_SHOWN_ROWS]) + (" and more" if len(paths) > _SHOWN_ROWS else "")
    if proofs == {Proof.FITS_CONTEXT}:
        message = f"{len(paths)} rows exceed the context of {max_tokens} tokens: {shown}"
        raise InvalidInput("CONTEXT_TOO_LONG", message, hint="shorten or drop these rows", violations=faults)
    message = f"{len(paths)} rows cannot be trained on: {shown}: {faults[0].path} {faults[0].description}"
    raise InvalidInput("FIELD_INVALID", message, hint="mend or drop these rows", violations=faults)


def _batches(rows: Iterable[CheckedRow]) -> Iterator[list[CheckedRow]]:
    batch: list[CheckedRow] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(row.input) + len(row.output)
        if size >= _BATCH_CHARS:
            yield batch
            batch, size = [], 0
    yield batch


def _is_text(row: CheckedRow) -> bool:
    try:
        row.input.encode()
        row.output.encode()
    except UnicodeEncodeError:
        return False
    return True


def _spells(ids: Sequence[int], output: str, renderer: PromptRenderer) -> bool:
    try:
        return renderer.decode(ids) == output
    except InternalFault:
        return False
