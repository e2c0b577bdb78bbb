"""What the proof that an adapter can be served must show, and who asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import InvalidInput, StateConflict
from trainer_svc import config
from trainer_svc.config import Settings
from trainer_svc.domain.servability import ServabilityMode, ServabilityProof


def _proof(adapter: tuple[float, ...], base: tuple[float, ...] = (), *, is_applied: bool = True) -> ServabilityProof:
    return ServabilityProof(ServabilityMode.VLLM, 64, "0.32.0", adapter, base, is_applied)


class TestServabilityProof:
    """Replayed shares of the canaries, with the adapter and without."""

    @pytest.mark.parametrize(
        ("adapter", "base"),
        [((1.0, 1.0), (0.1, 0.9)), ((0.5, 0.5), (0.4, 0.5)), ((1.0, 0.0), (0.0, 0.0)), ((0.9, 1.0), (1.0, 1.0))],
    )
    def test_passes_an_adapter_that_vllm_applies(self, adapter: tuple[float, ...], base: tuple[float, ...]) -> None:
        """Half of the expected answers on average; a good base may give the same."""
        _proof(adapter, base).check()

    def test_needs_no_canaries(self) -> None:
        """Where no held-out prompt leaves room for an answer; that the adapter is applied must show all the same."""
        _proof(()).check()
        with pytest.raises(StateConflict, match="it changes nothing in vLLM"):
            _proof((), is_applied=False).check()

    @pytest.mark.parametrize(
        ("proof", "words"),
        [
            (_proof((0.6, 0.3)), "vLLM repeats 45% of the expected answers, the least is 50%"),
            (_proof((1.0, 0.8), (1.0, 0.8), is_applied=False), "it changes nothing in vLLM"),
        ],
    )
    def test_refuses_one_that_it_does_not(self, proof: ServabilityProof, words: str) -> None:
        """The check and its figures are named."""
        with pytest.raises(StateConflict, match=f"servability, canary replay: .*{words}") as caught:
            proof.check()

        assert caught.value.reason == "ADAPTER_REJECTED"

    def test_is_read_as_it_was_written(self) -> None:
        """From the file that the child leaves."""
        proof = _proof((1.0, 0.25), (0.0, 0.125))

        assert ServabilityProof.from_json(proof.to_json()) == proof


class TestSettings:
    """What the operator says."""

    @pytest.mark.parametrize(
        ("asked", "is_installed", "mode"),
        [("", True, "vllm"), ("", False, "static"), ("static", True, "static"), ("vllm", True, "vllm")],
    )
    def test_asks_vllm_where_it_is_installed(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: str, is_installed: bool, mode: str
    ) -> None:
        """Unless told otherwise."""
        monkeypatch.setattr(config, "_has_vllm", lambda: is_installed)

        assert Settings(base_model_dir=tmp_path, servability_proof=asked).servability_mode == mode

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"servability_proof": "vllm"}, "not installed here"),
            ({"servability_proof": "none"}, "must be one of static, vllm, got 'none'"),
            ({"max_lora_rank": 48}, "max_lora_rank: must be one of"),
            ({"served_dtype": "float16"}, "must be one of auto, bfloat16, float32, got 'float16'"),
        ],
    )
    def test_refuses_what_cannot_be_proved(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: dict[str, str | int], words: str
    ) -> None:
        """At the start, not after the first training."""
        monkeypatch.setattr(config, "_has_vllm", lambda: False)

        with pytest.raises(InvalidInput, match=words):
            Settings(base_model_dir=tmp_path, **settings)  # type: ignore[arg-type]  # one of each
