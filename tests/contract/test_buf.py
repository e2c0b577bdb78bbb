"""The contracts keep the house rules and break nobody; checked by buf where Node is present."""

import shutil
import subprocess
from pathlib import Path

import pytest

PROTOS = Path(__file__).parents[2] / "protos"
BUF = ["npx", "--yes", "@bufbuild/buf@1.75.0"]

pytestmark = pytest.mark.skipif(shutil.which("npx") is None, reason="buf comes through npm, and Node is absent")


def _buf(*arguments: str) -> str:
    done = subprocess.run([*BUF, *arguments], cwd=PROTOS, capture_output=True, text=True, timeout=240, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


class TestContracts:
    """The .proto files."""

    def test_pass_lint(self) -> None:
        """Every message, field and RPC is documented and named by the standard rules."""
        assert _buf("lint", ".") == ""

    def test_change_only_by_addition(self) -> None:
        """Nothing of the released contracts is removed or changed in meaning."""
        assert _buf("breaking", ".", "--against", "released.binpb") == ""

    def test_a_changed_field_type_is_caught(self, tmp_path: Path) -> None:
        """The breaking-change check has teeth."""
        copy = tmp_path / "protos"
        shutil.copytree(PROTOS, copy)
        path = copy / "goldsmith/trainer/v1/training_job.proto"
        path.write_text(path.read_text().replace("int32 attempt = 8", "string attempt = 8"))

        assert "attempt" in _buf("breaking", str(copy), "--against", "released.binpb")
