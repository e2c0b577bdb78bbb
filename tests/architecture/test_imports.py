"""The structure is what the design says."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("shared", "trainer_svc", "inference_svc")
MAX_LINES = 320
"""A file has one reason to change; past about 300 lines it has two."""


def _sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


class TestStructure:
    """Imports and sizes."""

    def test_imports_flow_one_way(self) -> None:
        """protos, shared, services; the domain knows no transport; heavy libraries live in engine/."""
        command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]

        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

        assert done.returncode == 0, done.stdout

    def test_files_stay_small(self) -> None:
        """No file of the product outgrows one reason to change."""
        sizes = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in _sources()}

        assert {name: size for name, size in sizes.items() if size > MAX_LINES} == {}

    @pytest.mark.parametrize("module", ["trainer_svc", "inference_svc"])
    def test_help_needs_no_engine(self, module: str) -> None:
        """`--help` answers without importing torch, transformers or vLLM."""
        code = (
            "import sys, runpy\n"
            f"sys.argv = ['{module}', '--help']\n"
            "try:\n"
            f"    runpy.run_module('{module}', run_name='__main__')\n"
            "except SystemExit as end:\n"
            "    assert end.code == 0, end.code\n"
            "heavy = {'torch', 'transformers', 'vllm'} & set(sys.modules)\n"
            "assert not heavy, heavy\n"
        )

        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

        assert done.returncode == 0, done.stderr
        assert "--base-model-dir" in done.stdout
