"""Which rows share a step: rows of like length, so that little is padding, in an order that says nothing of length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

from trainer_svc.curation.compiled_example import IGNORED, Example
from trainer_svc.domain.batch import grouped, width_of

_SEED_STRIDE = 1_000_003
"""Keeps one seed's epochs apart from another's."""


class LengthGroupedSampler(Sampler[int]):
    """Indices of rows, of which each `batch_size` in turn make a batch.

    Rows are shuffled, sorted by length within pools, cut into batches, and the batches are shuffled: transformers'
    sampler of this name leaves them sorted, so that each epoch, and the steps with the lowest learning rate, end with
    the shortest rows. The very first batch is the widest of the run: what does not fit into memory shows at once. With
    a `filler` the last batch is whole, too: by that index, of a row that teaches nothing.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int, filler: int | None = None) -> None:
        self._lengths, self._batch_size, self._seed, self._epoch = lengths, batch_size, seed, 0
        self._fillers = [] if filler is None else [filler] * (-len(lengths) % batch_size)

    def __len__(self) -> int:
        return len(self._lengths) + len(self._fillers)

    def set_epoch(self, epoch: int) -> None:
        """Called by the loader before each epoch: the order depends on it and the seed alone, so a run resumes."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed * _SEED_STRIDE + self._epoch)
        order = torch.randperm(len(self._lengths), generator=generator).tolist()
        widest = max(order, key=self._lengths.__getitem__)
        order.remove(widest)
        order.insert(0, widest)  # never in the incomplete batch at the end
        whole = len(order) - len(order) % self._batch_size
        batches = list(grouped(order[:whole], self._lengths, self._batch_size))
        shuffled = [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]
        if self._epoch == 0:
            shuffled.sort(key=lambda batch: widest not in batch)
        for batch in shuffled:
            yield from batch
        yield from order[whole:]
        yield from self._fillers


def collate(rows: Sequence[Example]) -> dict[str, torch.Tensor]:
    """A batch of shape (rows, `width_of` the longest): padded on the right, where a causal model needs no mask."""
    width = width_of(max(len(row.input_ids) for row in rows))
    gaps = [width - len(row.input_ids) for row in rows]
    pairs = list(zip(rows, gaps, strict=True))
    return {
        "input_ids": torch.tensor([[*row.input_ids, *[0] * gap] for row, gap in pairs]),
        "labels": torch.tensor([[*row.labels, *[IGNORED] * gap] for row, gap in pairs]),
        "attention_mask": torch.tensor([[1] * len(row.input_ids) + [0] * gap for row, gap in pairs]),
    }
