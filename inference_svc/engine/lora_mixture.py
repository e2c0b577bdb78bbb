"""Products of small LoRA steps with the weights of a mixture of adapters kept as one, laid out as is fastest.

A decoding step of few rows spends its LoRA time on starting products, not on computing them. In bfloat16 torch.mm
(oneDNN) is slow to start: for up to 32 rows vLLM's kernel for packed weights takes a fifth to a half of its time,
packing takes as long as three to eight such products, and from about 128 rows on torch.mm is ahead (hidden sizes 256 to
4096, ranks 16 to 64).

In float32 torch.mm is quick to start. There it pays that weights from slots apart are not gathered in each step, that
what is not finite is looked for once, and that the second product adds to what is there already.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence

import torch

_MAX_ROWS = 64
_MAX_ELEMENTS, _MAX_KEPT_ELEMENTS = 2**19, 2**21
"""Of one mixture and of all that are kept in one layer, zeros included: 1 and 4 MiB in bfloat16."""
_USES = 2
"""Of a mixture until it is kept: with many adapters most last a step, and a load makes all of them new."""
_MAX_COUNTED = 256
_LANES = 32
"""What the packed kernel's vectors hold, of which both sides of a packed matrix must be multiples."""
_MAX_WEIGHT = 1e15
"""So that no row can overflow on what is zeroed afterwards: zero times infinity is NaN."""

OwnColumns = Callable[[int, torch.dtype], torch.Tensor | None]
"""`[T, K * width]` for K slots of so many columns: 1 where a column is of the row's slot, else 0; None if all are."""


class Mixtures:
    """Of one linear layer, whose weights others write in place."""

    def __init__(self, a_SHI: torch.Tensor, b_SHO: torch.Tensor, written: Sequence[torch.Tensor]) -> None:
        """`a_SHI` and `b_SHO` hold A, and B transposed, of S slots.

        `written` are the tensors through which they change, whose versions tell that they did.
        """
        self._a_SHI, self._b_SHO, self._written = a_SHI, b_SHO, written
        is_aligned = not (a_SHI.shape[2] % _LANES or b_SHO.shape[2] % _LANES)
        # Tensors made in inference mode have no versions.
        has_versions = not any(one.is_inference() for one in written)
        self._kept_as = _kept_as(a_SHI.dtype, is_aligned=is_aligned) if has_versions else None
        self._version = -1
        self._uses: Counter[tuple[int, ...]] = Counter()
        self._known: dict[tuple[int, ...], _Plain | _Packed | None] = {}

    def add(self, y: torch.Tensor, x: torch.Tensor, slots: tuple[int, ...], own: OwnColumns, scale: float) -> bool:
        """`y[T, out]` and what the adapters in K slots make of its rows `x[T, in]`; False where torch has to do it."""
        if self._kept_as is None or len(x) > _MAX_ROWS or y.dtype is not self._a_SHI.dtype:
            return False
        version = sum(one._version for one in self._written)  # noqa: SLF001  # torch has no public name for it
        if version != self._version:
            self._version = version
            self._uses.clear()
            self._known.clear()
        if slots in self._known:
            mixture = self._known[slots] = self._known.pop(slots)  # the last to go
        else:
            mixture = self._get_to_know(slots, self._kept_as)
        if mixture is None:
            return False
        hidden = mixture.shrink(x)
        columns = own(self._a_SHI.shape[1], x.dtype)
        if columns is not None:
            hidden[:, : columns.shape[1]].mul_(columns)
        if scale != 1.0:
            hidden.mul_(scale)
        mixture.expand(y, hidden)
        return True

    def _get_to_know(self, slots: tuple[int, ...], kept_as: type[_Plain | _Packed]) -> _Plain | _Packed | None:
        if len(self._uses) >= _MAX_COUNTED:
            self._uses.clear()
        self._uses[slots] += 1
        if self._uses[slots] < _USES or self._elements(slots) > _MAX_ELEMENTS:
            return None
        while sum(map(self._elements, (*self._known, slots))) > _MAX_KEPT_ELEMENTS:
            least_recent = next(iter(self._known))
            del self._known[least_recent], self._uses[least_recent]
        a_KHI, b_KHO = self._a_SHI[list(slots)], self._b_SHO[list(slots)]
        # Also false for NaN. One adapter's trouble must not reach rows of another.
        is_tame = all(bool(one.abs().max() < _MAX_WEIGHT) for one in (a_KHI, b_KHO))
        self._known[slots] = kept_as(a_KHI.flatten(0, 1), b_KHO.flatten(0, 1)) if is_tame else None
        return self._known[slots]

    def _elements(self, slots: tuple[int, ...]) -> int:
        return _padded(len(slots) * self._a_SHI.shape[1]) * (self._a_SHI.shape[2] + self._b_SHO.shape[2])


class _Plain:
    """A `[W, in]` and B, transposed, `[W, out]` for torch.

    Both products read whole rows of memory: up to four times as fast as with either one transposed.
    """

    def __init__(self, a_WI: torch.Tensor, b_WO: torch.Tensor) -> None:
        self._a_IW, self._b_WO = a_WI.t().contiguous(), b_WO.contiguous()

    def shrink(self, x: torch.Tensor) -> torch.Tensor:
        return torch.mm(x, self._a_IW)

    def expand(self, y: torch.Tensor, hidden: torch.Tensor) -> None:
        y.addmm_(hidden, self._b_WO)


class _Packed:
    """The same for vLLM's kernel, in bfloat16, padded to what its vectors hold."""

    def __init__(self, a_WI: torch.Tensor, b_WO: torch.Tensor) -> None:
        self._width = _padded(len(a_WI))
        pad = (0, 0, 0, self._width - len(a_WI))
        self._a = _pack(torch.nn.functional.pad(a_WI, pad))
        self._b = _pack(torch.nn.functional.pad(b_WO, pad).t().contiguous())

    def shrink(self, x: torch.Tensor) -> torch.Tensor:
        hidden = x.new_empty(len(x), self._width)
        _multiply(x, self._a, hidden)
        return hidden

    def expand(self, y: torch.Tensor, hidden: torch.Tensor) -> None:
        found = y.new_empty(y.shape)
        _multiply(hidden, self._b, found)
        y += found


def _kept_as(dtype: torch.dtype, *, is_aligned: bool) -> type[_Plain | _Packed] | None:
    if dtype is torch.float32:
        return _Plain
    return _Packed if dtype is torch.bfloat16 and is_aligned and is_usable() else None


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
