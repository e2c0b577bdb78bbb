"""Products of small LoRA steps through vLLM's own kernel for packed weights.

A decoding step of few rows spends its LoRA time on starting products, not on computing them, and torch.mm (oneDNN) is
slow to start in bfloat16: for up to 32 rows this kernel takes a fifth to a half of its time, packing takes as long as
three to eight such products, and from about 128 rows on torch.mm is ahead (hidden sizes 256 to 4096, ranks 16 to 64).
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence

import torch

_MAX_ROWS = 64
_MAX_ELEMENTS, _MAX_KEPT_ELEMENTS = 2**19, 2**21
"""Of one mixture and of all that are kept in one layer, zeros included: 1 and 4 MiB."""
_USES = 2
"""Of a mixture until it is packed: with many adapters most last a step, and a load makes all of them new."""
_MAX_COUNTED = 256
_LANES = 32
"""What the kernel's vectors hold, of which both sides of a packed matrix must be multiples."""


class PackedMixtures:
    """Of one linear layer, whose weights others write in place."""

    def __init__(self, a_SHI: torch.Tensor, b_SHO: torch.Tensor, written: Sequence[torch.Tensor]) -> None:
        """`a_SHI` and `b_SHO` hold A, and B transposed, of S slots.

        `written` are the tensors through which they change, whose versions tell that they did.
        """
        self._a_SHI, self._b_SHO, self._written = a_SHI, b_SHO, written
        is_aligned = not (a_SHI.shape[2] % _LANES or b_SHO.shape[2] % _LANES)
        # Tensors made in inference mode have no versions.
        has_versions = not any(one.is_inference() for one in written)
        self._fits = a_SHI.dtype is torch.bfloat16 and is_aligned and has_versions and is_usable()
        self._version = -1
        self._uses: Counter[tuple[int, ...]] = Counter()
        self._known: dict[tuple[int, ...], _Packed | None] = {}

    def product(
        self, x: torch.Tensor, slots: tuple[int, ...], foreign: torch.Tensor | None, scale: float
    ) -> torch.Tensor | None:
        """`[T, out]` for rows `x[T, in]` of the adapters in K slots; None where torch has to do it.

        `foreign[T, K, 1]` says which slots are not a row's own, and is None where K is 1 and all rows are of it.
        """
        if not self._fits or len(x) > _MAX_ROWS:
            return None
        version = sum(one._version for one in self._written)  # noqa: SLF001  # torch has no public name for it
        if version != self._version:
            self._version = version
            self._uses.clear()
            self._known.clear()
        if slots in self._known:
            packed = self._known[slots] = self._known.pop(slots)  # the last to go
        else:
            packed = self._get_to_know(slots)
        return None if packed is None else packed.product(x, foreign, scale)

    def _get_to_know(self, slots: tuple[int, ...]) -> _Packed | None:
        if len(self._uses) >= _MAX_COUNTED:
            self._uses.clear()
        self._uses[slots] += 1
        if self._uses[slots] < _USES or self._elements(slots) > _MAX_ELEMENTS:
            return None
        while sum(map(self._elements, (*self._known, slots))) > _MAX_KEPT_ELEMENTS:
            least_recent = next(iter(self._known))
            del self._known[least_recent], self._uses[least_recent]
        # Zero times NaN is NaN, and one adapter's trouble must not reach rows of another.
        a_KHI, b_KHO = self._a_SHI[list(slots)], self._b_SHO[list(slots)]
        self._known[slots] = _Packed(a_KHI, b_KHO) if b_KHO.isfinite().all() else None
        return self._known[slots]

    def _elements(self, slots: tuple[int, ...]) -> int:
        return _padded(len(slots) * self._a_SHI.shape[1]) * (self._a_SHI.shape[2] + self._b_SHO.shape[2])


class _Packed:
    """One mixture of K slots."""

    def __init__(self, a_KHI: torch.Tensor, b_KHO: torch.Tensor) -> None:
        self._count, width, _ = a_KHI.shape
        self._used = self._count * width
        spare = _padded(self._used) - self._used
        pad = torch.nn.functional.pad
        self._a = _pack(pad(a_KHI.flatten(0, 1), (0, 0, 0, spare)))
        self._b = _pack(pad(b_KHO.flatten(0, 1).t(), (0, spare)).contiguous())
        self._inner, self._out = self._used + spare, b_KHO.shape[2]

    def product(self, x: torch.Tensor, foreign: torch.Tensor | None, scale: float) -> torch.Tensor:
        hidden, found = x.new_empty(len(x), self._inner), x.new_empty(len(x), self._out)
        _multiply(x, self._a, hidden)
        if foreign is not None:
            hidden[:, : self._used].view(len(x), self._count, -1).masked_fill_(foreign, 0)
        if scale != 1.0:
            hidden *= scale
        _multiply(hidden, self._b, found)
        return found


@functools.cache
def is_usable() -> bool:
    """Whether this build of vLLM has the kernel and this processor can run it, found out by trying."""
    try:
        generator = torch.Generator().manual_seed(0)
        x, weight = (torch.randn(_LANES, _LANES, generator=generator).bfloat16() for _ in range(2))
        found = torch.empty_like(x)
        _multiply(x, _pack(weight), found)
    except (AttributeError, RuntimeError):
        return False
    return torch.allclose(found, x @ weight.t(), rtol=2e-2, atol=2e-2)


def _pack(weight: torch.Tensor) -> torch.Tensor:
    """Of `[out, in]`."""
    packed: torch.Tensor = torch.ops._C.convert_weight_packed(weight)  # noqa: SLF001
    return packed


def _multiply(x: torch.Tensor, packed: torch.Tensor, into: torch.Tensor) -> None:
    """`into[T, out] = x[T, in] @ weight^T`, summed in float32."""
    torch.ops._C.weight_packed_linear(into, x, packed, None, True)  # noqa: SLF001  # bias, is packed


def _padded(width: int) -> int:
    return -(-width // _LANES) * _LANES
