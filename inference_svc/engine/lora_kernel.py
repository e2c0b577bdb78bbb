"""LoRA on CPU with two matrix products for a step, however many adapters it mixes.

vLLM's stock CPU path gathers a full copy of A and B for every token and runs at about a sixth of the base model's
throughput. Here every row of a step meets the A of all adapters of the step at once, what came from the A of others is
set to zero, and one product with all their B adds up what is left: more sums than needed, and far fewer calls, which
is what a step on CPU spends its time on. Sums are rounded where stock rounds them. Steps of few rows, which is what
decoding is, go through `lora_rows` in float32 and `lora_packed` in bfloat16.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU
from vllm.platforms import current_platform

from inference_svc.engine.lora_packed import PackedMixtures
from inference_svc.engine.lora_rows import LoraRows, Slots, compiled

_Rows = slice | torch.Tensor

_MAX_MIXED_ROWS = 8192
"""Rows times adapters up to which one product over all adapters is faster than one for each of them; measured at hidden
sizes 256 and 1536 with ranks 16 and 64, where it is even."""
_MAX_JOINED_ROWS = 4096
"""Rows times adapters times rank up to which one product over all slices, zeros between them, is faster than one for
each slice: a call takes longer than the products of a usual decoding step. Measured at hidden size 256 and rank 16."""
_MAX_VIEWS = 256
"""Of one layer; some hundred bytes each."""


@dataclass(frozen=True)
class _Step:
    """Which rows of the present step belong to which adapter slot."""

    groups: tuple[tuple[int, _Rows], ...]
    """Slots in ascending order with the rows of each; rows without an adapter are in none."""
    slots: _Rows
    """The same slots, as an index."""
    key: tuple[int, ...]
    """And as what a mixture is known by."""
    foreign: torch.Tensor | None
    """`[T, K, 1]`: whether row t has nothing to do with the k-th slot; None where all rows belong to one."""


class GroupedPunicaWrapper(PunicaWrapperCPU):
    """Stock wrapper with the product of its linear layers replaced."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # vLLM's signature, passed through
        super().__init__(*args, **kwargs)
        if getattr(kwargs.get("lora_config"), "lora_dtype", None) is torch.float32:
            compiled()  # now, and not in the first request
        self._row_slots: Slots = np.empty(0, np.int64)
        """Of each row of the present step; -1 without an adapter."""
        self._step: _Step | None = None
        """Found out where it is needed: it takes as long as the products of three layers."""
        self._layers: dict[int, _Layer] = {}

    def update_metadata(self, *args: Any, **kwargs: Any) -> None:  # vLLM's signature, passed through
        """Called whenever the batch changes."""
        super().update_metadata(*args, **kwargs)
        self._row_slots = self.token_lora_indices.contiguous().numpy()
        self._step = None

    def add_lora_linear(
        self, y: torch.Tensor, x: torch.Tensor, lora_a_stacked: tuple[torch.Tensor, ...],
        lora_b_stacked: tuple[torch.Tensor, ...], scale: float, output_slices: tuple[int, ...], **kwargs: Any,
    ) -> None:  # fmt: skip
        """`y[T, out] += scale * x[T, in] @ A[slot]^T @ B[slot]^T` for each row's slot, slice by slice of `out`."""
        layer = self._layers.get(id(lora_a_stacked))
        if layer is None:
            layer = self._layers[id(lora_a_stacked)] = _Layer(lora_a_stacked, lora_b_stacked)
        count = len(self._row_slots)
        x, y = _rows_of(x, count).to(layer.dtype), _rows_of(y, count)
        if layer.rows.add(y, x, self._row_slots, scale):
            return
        if self._step is None:
            self._step = step_of(torch.from_numpy(self._row_slots))
        step = self._step
        if not step.groups:
            return
        packed = layer.packed.product(x, step.key, step.foreign, scale)
        if packed is not None:
            y += packed
            return
        if step.foreign is None:
            y += layer.product(x, step.slots, None, scale)
            return
        if step.foreign.numel() <= _MAX_MIXED_ROWS:
            mixed = layer.product(x, step.slots, step.foreign, scale)
            # Zero times NaN is NaN, and one adapter's trouble must not reach rows of another.
            if math.isfinite(mixed.sum(dtype=torch.float32).item()):
                y += mixed
                return
        for slot, rows in step.groups:
            y[rows] += layer.product(x[rows], slice(slot, slot + 1), None, scale)


class _Layer:
    """The adapters' weights of one linear layer, laid out so that one product serves all its slices and slots.

    vLLM keeps a tensor `A[S, 1, R, in]` and a tensor `B[S, 1, out, R]` for each of the N slices (q, k and v) and writes
    an adapter into them in place. They stay what they are; only their memory moves: all A into one block
    `[S, N * R, in]`, all B, transposed, onto the diagonal of one block `[S, N * R, out of all]` of zeros.
    """

    def __init__(self, a: tuple[torch.Tensor, ...], b: tuple[torch.Tensor, ...]) -> None:
        self._given = a  # whose id is our key, and must not be reused
        self._rank = a[0].shape[2]
        self._a_SHI = torch.cat(a, dim=1).flatten(1, 2)
        self._b_SHO = a[0].new_zeros(*self._a_SHI.shape[:2], sum(one.shape[2] for one in b))
        self._slices: list[tuple[slice, slice]] = []
        self._views: dict[tuple[int, int], tuple[torch.Tensor, torch.Tensor]] = {}
        begin = 0
        for index, (one, other) in enumerate(zip(a, b, strict=True)):
            inner = slice(index * self._rank, (index + 1) * self._rank)
            outer = slice(begin, begin + other.shape[2])
            begin = outer.stop
            self._slices.append((inner, outer))
            self._b_SHO[:, inner, outer] = other[:, 0].transpose(1, 2)
            _move(one, self._a_SHI[:, None, inner])
            _move(other, self._b_SHO[:, inner, outer].transpose(1, 2).unsqueeze(1))
        self.rows = LoraRows(self._a_SHI, self._b_SHO, [one.shape[2] for one in b])
        self.packed = PackedMixtures(self._a_SHI, self._b_SHO, (*a, *b))

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self._a_SHI.dtype

    def product(self, x: torch.Tensor, slots: _Rows, foreign: torch.Tensor | None, scale: float) -> torch.Tensor:
        """`[T, out]` for rows of the adapters in these slots; `foreign` as in `_Step`."""
        if isinstance(slots, slice):
            a_IK, b_KO = self._views_of(slots)
        else:
            a_IK, b_KO = _take(self._a_SHI, slots).flatten(0, 1).t(), None
        hidden = torch.mm(x, a_IK)
        count = hidden.shape[1] // self._a_SHI.shape[1]
        if foreign is not None:
            hidden.view(len(x), count, -1).masked_fill_(foreign, 0)
        if scale != 1.0:
            hidden *= scale
        if len(self._slices) == 1 or len(x) * count * self._rank <= _MAX_JOINED_ROWS:
            return torch.mm(hidden, _take(self._b_SHO, slots).flatten(0, 1) if b_KO is None else b_KO)
        found, hidden = x.new_empty(len(x), self._b_SHO.shape[2]), hidden.view(len(x), count, -1)
        for inner, outer in self._slices:
            weight = _take(self._b_SHO[:, inner, outer], slots).reshape(count * self._rank, -1)
            torch.mm(hidden[:, :, inner].reshape(-1, count * self._rank), weight, out=found[:, outer])
        return found

    def _views_of(self, slots: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """All A `[in, K * N * R]` and all B `[K * N * R, out of all]` of K adjacent slots.

        They are kept, since what is written into the slots is seen through them, and making them anew in each step
        takes as long as the products.
        """
        key = slots.start, slots.stop
        found = self._views.get(key)
        if found is None:
            found = self._a_SHI[slots].flatten(0, 1).t(), self._b_SHO[slots].flatten(0, 1)
            if len(self._views) < _MAX_VIEWS:
                self._views[key] = found
        return found


def _take(tensor: torch.Tensor, slots: _Rows) -> torch.Tensor:
    """Slots of a tensor; `tensor[index]` takes up to twice the time of `index_select`."""
    return tensor[slots] if isinstance(slots, slice) else tensor.index_select(0, slots)


def _rows_of(tensor: torch.Tensor, count: int) -> torch.Tensor:
    """A view of the first rows; what comes after them fills a batch up."""
    rows = tensor if tensor.dim() == 2 else tensor.view(-1, tensor.shape[-1])
    return rows if len(rows) == count else rows[:count]


def _move(tensor: torch.Tensor, place: torch.Tensor) -> None:
    """Makes a tensor live at another place, whose content it has."""
    tensor.set_(place.untyped_storage(), place.storage_offset(), place.shape, place.stride())


def step_of(slots_T: torch.Tensor) -> _Step:
    """Rows by adapter slot; slot -1 means no adapter."""
    order = torch.argsort(slots_T, stable=True)
    found, counts = torch.unique_consecutive(slots_T[order], return_counts=True)
    groups, begin = [], 0
    for slot, count in zip(found.tolist(), counts.tolist(), strict=True):
        rows = order[begin : begin + count]
        begin += count
        if slot >= 0:
            groups.append((slot, _as_slice(rows)))
    active = found[found >= 0]
    is_uniform = len(found) == len(active) == 1
    return _Step(
        groups=tuple(groups),
        slots=_as_slice(active) if len(active) else slice(0, 0),
        key=tuple(slot for slot, _ in groups),
        foreign=None if is_uniform else slots_T[:, None, None] != active[:, None],
    )


def _as_slice(ascending: torch.Tensor) -> _Rows:
    """A slice where indices are adjacent, which saves a copy."""
    low, high = int(ascending[0]), int(ascending[-1])
    return slice(low, high + 1) if high - low + 1 == len(ascending) else ascending


def register() -> None:
    """Entry point, called once in every vLLM process: the grouped wrapper on CPU; GPUs keep their stock kernels."""
    if current_platform.is_cpu():
        name = f"{GroupedPunicaWrapper.__module__}.{GroupedPunicaWrapper.__qualname__}"
        platform: Any = type(current_platform)  # the class, whose method is replaced for the whole process
        platform.get_punica_wrapper = classmethod(lambda cls: name)
