"""Each fuzz target, for a fixed number of inputs in every run of the tests; `make fuzz` goes on from there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

RUNS = {"token": 20_000, "name": 40_000, "message": 4_000, "cursor": 2_000}
"""A few seconds each."""


def _fuzz(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the fuzzer ends its process, and instruments what it imports."""
    command = [sys.executable, "-m", "tests.fuzz", *arguments, "-seed=1", f"-artifact_prefix={folder}/"]
    return subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240, check=False
    )


@pytest.mark.timeout(300)
class TestFuzz:
    """Inputs that a coverage-guided fuzzer makes up, the same in each run."""

    @pytest.mark.parametrize(("target", "runs"), RUNS.items())
    def test_finds_no_input_that_breaks_a_rule(self, target: str, runs: int, tmp_path: Path) -> None:
        """No token, name, message or cursor opens what is not its bearer's, or raises what is no answer."""
        found = _fuzz(tmp_path, target, f"-runs={runs}")

        assert found.returncode == 0, found.stdout[-4000:]
        assert f"Done {runs} runs" in found.stdout

    @pytest.mark.parametrize("target", RUNS)
    def test_finds_a_hole_that_was_opened_on_purpose(self, target: str, tmp_path: Path) -> None:
        """Signatures not looked at, a newline in an id, a second name that nobody checks, a page of somebody else."""
        found = _fuzz(tmp_path, target, "--hole", f"-runs={RUNS[target]}")

        assert "Uncaught Python exception: ===\nAssertionError" in found.stdout, found.stdout[-4000:]
        assert found.returncode != 0
        assert list(tmp_path.glob("crash-*"))
