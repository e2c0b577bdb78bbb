"""LoRA for the few rows of a decoding step, in float32: each row meets the weights of its own adapter and no others.

Compiled by numba, which vLLM requires anyway. Most of what two torch.mm over all adapters of a step would read are
zeros and weights of others, and reading is what takes the time. In steps of the shipped base model LoRA takes 0.9 ms so
instead of 1.4 for one row, 1.4 instead of 2.7 for two rows of two adapters, 2.9 instead of 5.7 for 32 rows of four; for
one adapter torch.mm is even from about 32 rows on. What a row gets is the same to the last bit whoever else is in the
step, and one adapter's NaN stays in its own rows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

_MAX_ROWS = 64
_MAX_PRODUCTS = 2**21
"""Of a call, which reads that many weights in one thread: 64 rows of the shipped base model, fewer of larger ones."""
_UNROLLED = 4
"""Ranks that a loop works on, written out, so that a row's values are read and written a quarter as often."""
_SIGNATURE = "void(float32[:,::1],float32[:,::1],float32[:,:,::1],float32[:,:,::1],int64[::1],int64[::1],float32)"

Slots = NDArray[np.int64]
_Matrix = NDArray[np.float32]


class LoraRows:
    """Of one linear layer with N slices, whose weights are read where they are."""

    def __init__(self, a_SHI: torch.Tensor, b_SHO: torch.Tensor, slice_widths: Sequence[int]) -> None:
        """A and B transposed of S slots; H is N times the rank, and B is zero outside of its slice of O."""
        self._fits = a_SHI.dtype is torch.float32 and a_SHI.shape[1] % (_UNROLLED * len(slice_widths)) == 0
        if self._fits:
            self._a_SHI, self._b_SHO = a_SHI.numpy(), b_SHO.numpy()
            self._bounds = np.cumsum([0, *slice_widths], dtype=np.int64)
            self._add = compiled()
            hidden, given = a_SHI.shape[1:]
            per_row = hidden * given + hidden // len(slice_widths) * b_SHO.shape[2]
            self._max_rows = min(_MAX_ROWS, _MAX_PRODUCTS // per_row)

    def add(self, y: torch.Tensor, x: torch.Tensor, slots_T: Slots, scale: float) -> bool:
        """`y[T, O] += scale * x[T, I] @ A[slot]^T @ B[slot]^T` for each row's slot, none where it is -1.

        False, and nothing is done, where torch has to do it.
        """
        if not self._fits or len(x) > self._max_rows or y.dtype is not torch.float32:
            return False
        # The machine code checks no bounds.
        if not (len(x) == len(y) == len(slots_T) and x.is_contiguous() and y.is_contiguous()):
            return False
        self._add(y.numpy(), x.numpy(), self._a_SHI, self._b_SHO, slots_T, self._bounds, scale)
        return True


@functools.cache
def compiled() -> Callable[..., None]:
    """Takes about a second, once in a process."""
    import numba

    # Sums may be taken in any order; NaN and infinity must stay what they are.
    compile_to: Any = numba.njit(_SIGNATURE, fastmath={"reassoc", "contract"}, error_model="numpy", nogil=True)
    function: Callable[..., None] = compile_to(_add_rows)
    return function


def _add_rows(
    y: _Matrix, x: _Matrix, a: _Matrix, b: _Matrix, slots: Slots, bounds: Slots, scale: np.float32
) -> None:  # pragma: no cover  # machine code
    slices = len(bounds) - 1
    rank = a.shape[1] // slices
    for row in range(len(x)):
        slot = slots[row]
        if slot < 0:
            continue
        given = x[row]
        for part in range(slices):
            begin, end = bounds[part], bounds[part + 1]
            found = y[row, begin:end]
            for first in range(part * rank, (part + 1) * rank, _UNROLLED):
                a0, a1, a2, a3 = a[slot, first], a[slot, first + 1], a[slot, first + 2], a[slot, first + 3]
                h0 = h1 = h2 = h3 = np.float32(0)
                for index in range(len(given)):
                    value = given[index]
                    h0 += value * a0[index]
                    h1 += value * a1[index]
                    h2 += value * a2[index]
                    h3 += value * a3[index]
                h0, h1, h2, h3 = h0 * scale, h1 * scale, h2 * scale, h3 * scale
                b0, b1 = b[slot, first, begin:end], b[slot, first + 1, begin:end]
                b2, b3 = b[slot, first + 2, begin:end], b[slot, first + 3, begin:end]
                for index in range(len(found)):
                    found[index] += h0 * b0[index] + h1 * b1[index] + h2 * b2[index] + h3 * b3[index]
