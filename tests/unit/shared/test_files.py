"""Files that are whole or absent."""

import os
from pathlib import Path

import pytest

from shared.files import publish_folder, write_atomic


class TestWriteAtomic:
    """Replacing a file."""

    def test_a_failed_write_leaves_the_old_content_and_no_litter(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A full disk changes nothing."""
        path = tmp_path / "state.json"
        write_atomic(path, b"old")

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            write_atomic(path, b"new")

        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]


class TestPublishFolder:
    """Renaming a finished folder to its name."""

    def test_the_first_one_wins(self, tmp_path: Path) -> None:
        """A second folder of the same name is dropped, since names are digests of the content."""
        final = tmp_path / "out" / "digest"
        for text in ("first", "second"):
            temporary = tmp_path / text
            temporary.mkdir()
            (temporary / "file").write_text(text)
            publish_folder(temporary, final)

        assert (final / "file").read_text() == "first"
        assert not (tmp_path / "second").exists()
