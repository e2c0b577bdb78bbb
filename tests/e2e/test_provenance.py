"""What a manifest says of the code that trained."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from trainer_svc.engine import provenance
from trainer_svc.engine.provenance import code_digest

pytestmark = pytest.mark.engine
_COMMAND = "find shared trainer_svc -name '*.py' | LC_ALL=C sort | xargs sha256sum | sha256sum"


def _sources(root: Path) -> Path:
    for name in ("shared/a.py", "shared/b/c.py", "shared/b.py", "trainer_svc/__init__.py"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    return root


class TestCodeDigest:
    """The digest of the sources."""

    def test_is_what_a_shell_computes(self) -> None:
        """So that who has a manifest can say which sources made it, without the trainer."""
        root = Path(provenance.__file__).parents[2]

        told = subprocess.run(["sh", "-c", _COMMAND], cwd=root, capture_output=True, text=True, check=True)

        assert code_digest() == f"sha256:{told.stdout.split()[0]}"

    @pytest.mark.parametrize("name", ["shared/a.py", "trainer_svc/__init__.py"])
    def test_is_another_after_any_change(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of a byte, or of a name alone; what is compiled from them, or lies beside them, has no part in it."""
        monkeypatch.setattr(provenance, "_ROOT", _sources(tmp_path))
        path, before = tmp_path / name, code_digest()
        (tmp_path / "shared" / "a.pyc").write_bytes(b"compiled")
        (tmp_path / "other.py").touch()
        assert code_digest() == before

        path.write_text(path.read_text() + "# more\n")
        changed = code_digest()
        path.rename(path.with_name("renamed.py"))

        assert len({before, changed, code_digest()}) == 3
