"""Training batches: documents of similar length side by side, padded on the right, at most 8,192 tokens."""

from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor

from deploy.base_model.corpus.mixture import draw
from deploy.base_model.tokenizer import CONTEXT_TOKENS, PAD_ID, encode

STEP_TOKENS: Final = 8192
NO_TARGET: Final = -100
_POOL_DOCUMENTS: Final = 1200  # sorted by length together; the batches cut from them are shuffled
_COPY_STEPS: Final = 350  # copying from context appears after about 300
_COPY_SHARE: Final = 0.7


class Batch(NamedTuple):
    """Token ids, the token to be predicted at each position (NO_TARGET where none counts), the task of each row."""

    ids_BT: Tensor  # noqa: N815 - the suffix names the dimensions: batch, tokens
    labels_BT: Tensor  # noqa: N815
    tasks: tuple[str, ...]


_Row = tuple[str, list[int], list[int]]


def padded(rows: list[_Row]) -> Batch:
    """Returns rows of (task, prompt, target) as one batch. A row is one document, so none sees another."""
    longest = max(len(prompt) + len(target) for _, prompt, target in rows)
    ids_BT = torch.full((len(rows), longest), PAD_ID, dtype=torch.long)  # noqa: N806 - the suffix names the dimensions
    labels_BT = torch.full((len(rows), longest), NO_TARGET, dtype=torch.long)  # noqa: N806
    for at, (_, prompt, target) in enumerate(rows):
        length = len(prompt) + len(target)
        ids_BT[at, :length] = torch.tensor(prompt + target)
        labels_BT[at, len(prompt) - 1 : length - 1] = torch.tensor(target)
    return Batch(ids_BT, labels_BT, tuple(task for task, _, _ in rows))


def _pool(tokenizer: Tokenizer, rng: Random, copying: float, step_tokens: int) -> list[list[_Row]]:
    rows: list[_Row] = []
    while len(rows) < _POOL_DOCUMENTS:
        example = draw(rng, copying)
        prompt, target = encode(tokenizer, example)
        if len(prompt) + len(target) <= CONTEXT_TOKENS:
            rows.append((example.task, prompt, target))
    rows.sort(key=lambda row: len(row[1]) + len(row[2]))
    pool: list[list[_Row]] = []
    batch: list[_Row] = []
    for row in rows:
        if batch and (len(batch) + 1) * (len(row[1]) + len(row[2])) > step_tokens:
            pool.append(batch)
            batch = []
        batch.append(row)
    pool.append(batch)
    rng.shuffle(pool)
    return pool


def batches(tokenizer: Tokenizer, rng: Random, step_tokens: int = STEP_TOKENS) -> Iterator[Batch]:
    """Yields batches without end; pools drawn in the first steps are mostly copying."""
    step = 0
    while True:
        pool = _pool(tokenizer, rng, _COPY_SHARE if step < _COPY_STEPS else 0.0, step_tokens)
        while pool:
            yield padded(pool.pop())
            step += 1
