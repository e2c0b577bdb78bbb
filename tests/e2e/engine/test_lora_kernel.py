"""LoRA on CPU against the stock operations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from inference_svc.engine.lora_packed import PackedMixtures, is_usable
from inference_svc.engine.lora_rows import LoraRows

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore"),  # vLLM's own imports warn
]

_IN, _SLOTS = 64, 5
_SLICES = (32, 16, 48)
_PAIR_ELEMENTS = 2 * 16 * (_IN + sum(_SLICES))
"""Of two packed adapters of rank 16."""
_IDS = [11, 12, 13, 14, 15]
"""Of the adapters in the slots; 0 in a batch is no adapter."""
MIXED = (12, 0, 11, 12, 12, 14, 0, 11, 11)


@pytest.fixture(params=["torch", "few rows"])
def products(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small steps through torch.mm, then through the kernels for few rows, packed weights from their first use on."""
    if request.param == "few rows":
        monkeypatch.setattr("inference_svc.engine.lora_packed._USES", 1)
    else:
        monkeypatch.setattr("inference_svc.engine.lora_packed._USES", 10**9)
        monkeypatch.setattr("inference_svc.engine.lora_rows._MAX_ROWS", 0)


@pytest.mark.usefixtures("products")
class TestGroupedKernel:
    """The grouped LoRA kernel against vLLM's stock one."""

    @pytest.mark.parametrize("rank", [8, 16, 64])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    @pytest.mark.parametrize("is_prefill", [True, False])
    @pytest.mark.parametrize(
        "batch",
        [MIXED, (12,) * 7, (0, 0), (0, 13, 0), (15, 11), tuple(_IDS) * 40],
        ids=["mixed", "one adapter", "none", "one of them", "apart", "many rows"],
    )
    def test_equals_the_stock_operations(
        self, rank: int, dtype: torch.dtype, is_prefill: bool, batch: tuple[int, ...]
    ) -> None:
        """Same result for any mixture of adapters and rows without one, in prefill and in decode, slice by slice."""
        a, b = _weights(rank, dtype)
        x, ours, theirs = _rows(len(batch), dtype)
        idle = [index for index, adapter in enumerate(batch) if not adapter]
        untouched = ours[idle]

        for wrapper, y in zip(_wrappers(batch, is_prefill=is_prefill), (ours, theirs), strict=True):
            wrapper.add_lora_linear(y, x, *_copies(a, b), 0.5, _SLICES)

        assert torch.equal(ours[idle], untouched)
        theirs[idle] = untouched  # to which the stock operations add the adapter of the last slot

        tolerance = 1e-5 if dtype is torch.float32 else 2e-2
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance * float(theirs.abs().max()))

    @pytest.mark.parametrize("limit", ["_MAX_MIXED_ROWS", "_MAX_JOINED_ROWS"])
    @pytest.mark.parametrize("batch", [MIXED, (12,) * 7])
    def test_equals_them_where_a_step_is_large(
        self, limit: str, batch: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Above a number of rows each adapter, and each slice, has a product of its own."""
        monkeypatch.setattr(f"inference_svc.engine.lora_kernel.{limit}", 0)

        self.test_equals_the_stock_operations(16, torch.float32, True, batch)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_serves_what_was_written_last(self, dtype: torch.dtype) -> None:
        """Adapters are written into their slots in place, before and after the first step that uses them."""
        a, b = _weights(16, dtype)
        batch = [adapter or 13 for adapter in MIXED]
        x, before, after = _rows(len(batch), dtype)
        ours, theirs = _wrappers(batch, is_prefill=False)
        own_a, own_b = _copies(a, b)
        ours.add_lora_linear(before, x, own_a, own_b, 1.0, _SLICES)
        with torch.inference_mode():  # as in vLLM
            for one, other in ((own_a, a), (own_b, b)):
                for mine, plain in zip(one, other, strict=True):
                    fresh = torch.randn_like(plain[1])
                    mine[1, 0].copy_(fresh[0])
                    plain[1] = fresh
        expected = after.clone()

        ours.add_lora_linear(after, x, own_a, own_b, 1.0, _SLICES)

        theirs.add_lora_linear(expected, x, a, b, 1.0, _SLICES)
        tolerance = 1e-5 if dtype is torch.float32 else 2e-2
        torch.testing.assert_close(after, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max()))

    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), 3e38])
    @pytest.mark.parametrize("which", ["a", "b"])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_leaves_other_rows_alone_when_an_adapter_is_not_finite(
        self, dtype: torch.dtype, which: str, bad: float
    ) -> None:
        """Zero times NaN is NaN: rows of others must be what they are without the bad adapter."""
        a, b = _weights(16, dtype)
        (a if which == "a" else b)[0][_IDS.index(14)] = bad
        x, ours, alone = _rows(len(MIXED), dtype)
        others = [index for index, adapter in enumerate(MIXED) if adapter != 14]

        _wrappers(MIXED, is_prefill=False)[0].add_lora_linear(ours, x, *_copies(a, b), 1.0, _SLICES)

        without = [adapter if adapter != 14 else 0 for adapter in MIXED]
        _wrappers(without, is_prefill=False)[0].add_lora_linear(alone, x, *_copies(a, b), 1.0, _SLICES)
        assert ours[others].isfinite().all()
        torch.testing.assert_close(ours[others], alone[others], rtol=1e-2, atol=1e-1)

    def test_gives_a_row_the_same_bits_whoever_else_is_in_the_step(self) -> None:
        """A greedy answer must not depend on other tenants' requests."""
        a, b = _weights(16, torch.bfloat16)
        x, alone, mixed = _rows(len(MIXED), torch.bfloat16)
        same = [index for index, adapter in enumerate(MIXED) if adapter == 12]

        _wrappers([12] * len(MIXED), is_prefill=False)[0].add_lora_linear(alone, x, *_copies(a, b), 1.0, _SLICES)
        _wrappers(MIXED, is_prefill=False)[0].add_lora_linear(mixed, x, *_copies(a, b), 1.0, _SLICES)

        assert torch.equal(alone[same], mixed[same])


class TestLoraRows:
    """Few rows in float32, each of its own adapter."""

    def test_give_each_row_the_bits_that_it_has_alone(self) -> None:
        """With other rows and other adapters beside it."""
        rows, x = _layer_rows(), torch.randn(7, _IN)
        slots_T = np.array([0, 1, -1, 4, 0, 2, 1])

        together, alone = torch.zeros(2, 7, sum(_SLICES))
        assert rows.add(together, x, slots_T, 0.5)
        for row in range(7):
            assert rows.add(alone[row : row + 1], x[row : row + 1], slots_T[row : row + 1], 0.5)

        assert torch.equal(together, alone)
        assert not together[2].any()
        assert together[[0, 1, 3, 4, 5, 6]].any(dim=1).all()

    def test_are_left_out_where_torch_has_to_do_it(self) -> None:
        """Many rows, other types, and tensors that are not in one piece; nothing is written then."""
        rows, first = _layer_rows(), np.zeros(2, np.int64)
        x, y = torch.randn(2, _IN), torch.zeros(2, sum(_SLICES))

        assert not rows.add(torch.zeros(65, sum(_SLICES)), torch.randn(65, _IN), np.zeros(65, np.int64), 1.0)
        assert not rows.add(y.bfloat16(), x, first, 1.0)
        assert not rows.add(y, torch.randn(_IN, 2).t(), first, 1.0)
        assert not rows.add(torch.zeros(sum(_SLICES), 2).t(), x, first, 1.0)
        assert not rows.add(y, x, first[:1], 1.0)
        assert not _layer_rows(torch.bfloat16).add(y, x, first, 1.0)
        assert not y.any()
        assert rows.add(y, x, first, 1.0)

    def test_are_fewer_where_a_layer_is_large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One thread reads the weights again for each row."""
        monkeypatch.setattr("inference_svc.engine.lora_rows._MAX_PRODUCTS", 3 * 16 * (3 * _IN + sum(_SLICES)))
        rows, slots_T = _layer_rows(), np.zeros(4, np.int64)
        x, y = torch.randn(4, _IN), torch.zeros(4, sum(_SLICES))

        assert not rows.add(y, x, slots_T, 1.0)
        assert rows.add(y[:3], x[:3], slots_T[:3], 1.0)


class TestPackedMixtures:
    """Products of a layer's adapters through vLLM's kernel for packed weights."""

    def test_are_used_where_a_mixture_has_come_before(self) -> None:
        """A mixture that lasts a step is not worth packing; which rows are whose does not matter."""
        mixtures, x = _mixtures(), torch.randn(2, _IN).bfloat16()

        found = [mixtures.product(x, (0, 1), _foreign(0, 1, slots=2), 1.0) is not None for _ in range(3)]
        swapped = mixtures.product(x, (0, 1), _foreign(1, 0, slots=2), 1.0)

        assert found == [False, True, True]
        assert swapped is not None

    @pytest.mark.parametrize("rows", [1, 2, 33, 64])
    def test_give_each_row_the_bits_that_it_has_alone(self, rows: int) -> None:
        """With other rows and other adapters beside it."""
        mixtures, x = _mixtures(), torch.randn(rows, _IN).bfloat16()
        slots = [index % 3 for index in range(rows)]

        together = _often(mixtures, x, (0, 1, 2), _foreign(*slots))

        for row, slot in enumerate(slots):
            assert torch.equal(together[row], _often(mixtures, x[row : row + 1], (slot,), None)[0])

    def test_are_left_out_where_torch_is_faster(self) -> None:
        """Many rows, large mixtures, other types, sides that the kernel cannot have."""
        many = torch.randn(65, _IN).bfloat16()
        assert _often(_mixtures(), many, (0,), None) is None
        assert _often(_mixtures(slots=512, rank=16), many[:1], tuple(range(512)), _foreign(0, slots=512)) is None
        assert _often(_mixtures(dtype=torch.float32), many[:1].float(), (0,), None) is None
        assert _often(_mixtures(inputs=48), many[:1, :48], (0,), None) is None
        assert _often(_mixtures(outputs=40), many[:1], (0,), None) is None

    def test_are_left_out_where_this_machine_cannot_have_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The kernel is found by trying: builds and processors without it are served by torch alone."""
        monkeypatch.setattr("inference_svc.engine.lora_packed._multiply", _refuse)

        assert not is_usable.__wrapped__()

    def test_keep_those_that_come_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is pushed out begins anew: it must not push out others each time that it comes."""
        monkeypatch.setattr("inference_svc.engine.lora_packed._MAX_KEPT_ELEMENTS", 8 * _PAIR_ELEMENTS)
        mixtures, x = _mixtures(), torch.randn(1, _IN).bfloat16()
        pairs = [(one, other) for one in range(_SLOTS) for other in range(one)]
        hot, once = pairs[0], pairs[1:]

        for pair in once:
            assert _often(mixtures, x, hot, _foreign(0)) is not None
            assert _often(mixtures, x, pair, _foreign(0)) is not None

        assert mixtures.product(x, hot, _foreign(0)[:, :2], 1.0) is not None
        assert mixtures.product(x, once[0], _foreign(0)[:, :2], 1.0) is None

    def test_keep_few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """However many mixtures come."""
        monkeypatch.setattr("inference_svc.engine.lora_packed._MAX_KEPT_ELEMENTS", 8 * _PAIR_ELEMENTS)
        mixtures, x = _mixtures(), torch.randn(1, _IN).bfloat16()

        for slots in [(one, other) for one in range(_SLOTS) for other in range(one)]:
            assert _often(mixtures, x, slots, _foreign(0)) is not None

        assert len(mixtures._known) == 8


def _layer_rows(dtype: torch.dtype = torch.float32) -> LoraRows:
    """Of adapters of rank 16 in all slots."""
    from inference_svc.engine.lora_kernel import _Layer

    return _Layer(*_weights(16, dtype)).rows


def _refuse(*_: object) -> None:
    raise RuntimeError("tinygemm kernel: scalar path not implemented!")


def _mixtures(
    *, slots: int = _SLOTS, rank: int = 16, inputs: int = _IN, outputs: int = 96, dtype: torch.dtype = torch.bfloat16
) -> PackedMixtures:
    if not is_usable():
        pytest.skip("this processor cannot run vLLM's kernel for packed weights")
    a, b = torch.randn(slots, rank, inputs).to(dtype), torch.randn(slots, rank, outputs).to(dtype)
    return PackedMixtures(a, b, (a, b))


def _foreign(*slots_T: int, slots: int = 3) -> torch.Tensor:
    """Of rows in these slots, beside all of so many."""
    return torch.tensor(slots_T)[:, None, None] != torch.arange(slots)[None, :, None]


def _often(
    mixtures: PackedMixtures, x: torch.Tensor, slots: tuple[int, ...], foreign: torch.Tensor | None
) -> Any:  # a tensor or None
    foreign = None if foreign is None else foreign[:, : len(slots)]
    return [mixtures.product(x, slots, foreign, 1.0) for _ in range(2)][-1]


def _wrappers(batch: tuple[int, ...] | list[int], *, is_prefill: bool) -> tuple[Any, Any]:
    """Ours and vLLM's, told of a batch."""
    from vllm.lora.layers import LoRAMapping
    from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU

    from inference_svc.engine.lora_kernel import GroupedPunicaWrapper

    mapping = LoRAMapping(tuple(batch), tuple(batch), is_prefill=is_prefill)
    wrappers = GroupedPunicaWrapper(256, 256, "cpu"), PunicaWrapperCPU(256, 256, "cpu")
    for wrapper in wrappers:
        wrapper.update_metadata(mapping, _IDS, _SLOTS, 100)
    return wrappers


def _weights(rank: int, dtype: torch.dtype) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
    torch.manual_seed(0)
    a = tuple(torch.randn(_SLOTS, 1, rank, _IN).to(dtype) for _ in _SLICES)
    return a, tuple(torch.randn(_SLOTS, 1, width, rank).to(dtype) for width in _SLICES)


def _copies(*groups: tuple[torch.Tensor, ...]) -> tuple[tuple[torch.Tensor, ...], ...]:
    """The kernel moves the memory of what it is given."""
    return tuple(tuple(one.clone() for one in group) for group in groups)


def _rows(count: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    y = torch.randn(count, sum(_SLICES)).to(dtype)
    return torch.randn(count, _IN).to(dtype), y, y.clone()
