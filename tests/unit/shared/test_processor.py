"""What is known of the processor."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared import processor


class TestEmulatesBfloat16:
    """Where bfloat16 is slower than float32."""

    @pytest.mark.parametrize(
        ("machine", "text", "emulates"),
        [
            ("x86_64", "flags\t\t: avx512f avx512_bf16 fma\n", False),
            ("x86_64", "flags\t\t: avx512f amx_bf16 amx_tile\n", False),
            ("x86_64", "processor\t: 0\nflags\t\t: avx512f avx512_vnni\nbugs\t\t: \n", True),
            ("x86_64", "model name\t: avx512_bf16\nflags\t\t: avx2\n", True),
            ("x86_64", "processor\t: 0\n", False),
            ("aarch64", "Features\t: fp asimd\n", False),
        ],
        ids=["AVX512-BF16", "AMX", "neither", "name only", "no flags", "ARM"],
    )
    def test_is_told_by_the_flags(
        self, machine: str, text: str, emulates: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only x86 processors have done so."""
        flags = tmp_path / "cpuinfo"
        flags.write_text(text)
        monkeypatch.setattr(processor, "_FLAGS_FILE", flags)
        monkeypatch.setattr(processor.platform, "machine", lambda: machine)

        assert processor.emulates_bfloat16() == emulates

    def test_is_not_said_of_what_is_not_known(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A system without such a file keeps bfloat16."""
        monkeypatch.setattr(processor, "_FLAGS_FILE", tmp_path / "absent")
        monkeypatch.setattr(processor.platform, "machine", lambda: "x86_64")

        assert not processor.emulates_bfloat16()
