"""The committed stubs are what the contracts generate."""

import os
import subprocess
import sys
from pathlib import Path

PROTOS = Path(__file__).parents[2] / "protos"


def _generated(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*_pb2*.py*") if "__pycache__" not in p.parts
    }


class TestStubs:
    """Stubs beside the .proto files."""

    def test_are_fresh(self, tmp_path: Path) -> None:
        """Regenerating every contract gives the committed bytes."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

        subprocess.run(
            [PROTOS / "generate.sh", tmp_path], check=True, env={**os.environ, "PATH": path, "PYTHON": sys.executable}
        )

        assert _generated(tmp_path) == _generated(PROTOS)
