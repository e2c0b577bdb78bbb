"""Files that are whole or absent."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from shared.files import publish_folder, publish_new_folder, replace_folder, restore_folder, write_atomic


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


class TestReplaceFolder:
    """Putting a finished folder in the place of another."""

    @pytest.mark.parametrize("death", range(1, 9))
    def test_leaves_a_whole_one_whenever_it_dies(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, death: int
    ) -> None:
        """The new one or the one before, never parts of one; it can be replaced again."""
        final, former = tmp_path / "final", tmp_path / "former"
        for text in ("first", "second"):
            replace_folder(_folder(tmp_path / text, text), final, former)

        with monkeypatch.context() as mortal, suppress(KeyboardInterrupt):
            left = [death]
            for place, name in ((Path, "rename"), (os, "unlink"), (os, "rmdir")):
                mortal.setattr(place, name, _mortal(getattr(place, name), left))
            replace_folder(_folder(tmp_path / "third", "third"), final, former)
        restore_folder(final, former)

        assert _text(final) in ("second second", "third third")
        replace_folder(_folder(tmp_path / "fourth", "fourth"), final, former)
        assert _text(final) == "fourth fourth"
        assert not former.exists()

    def test_keeps_the_old_one_when_there_is_no_new_one(self, tmp_path: Path) -> None:
        """It is put back."""
        final, former = tmp_path / "final", tmp_path / "former"
        replace_folder(_folder(tmp_path / "first", "first"), final, former)

        with pytest.raises(OSError, match="none"):
            replace_folder(tmp_path / "none", final, former)
        restore_folder(final, former)

        assert _text(final) == "first first"


def _folder(path: Path, text: str) -> Path:
    path.mkdir(exist_ok=True)
    for name in ("one", "two"):
        (path / name).write_text(text)
    return path


def _text(folder: Path) -> str:
    return " ".join((folder / name).read_text() for name in ("one", "two"))


def _mortal(whole: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    """Dies before a call, when it is the last of those that are left to it and others."""

    def call(*given: Any, **named: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return whole(*given, **named)

    return call


class TestPublishNewFolder:
    """A name that only one folder may get."""

    def test_leaves_what_stands_there_alone(self, tmp_path: Path) -> None:
        """A file or a folder with something in it; what was finished is kept, too."""
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "new").touch()
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "old").touch()
        (tmp_path / "file").touch()

        for name in ("folder", "file"):
            with pytest.raises(FileExistsError):
                publish_new_folder(tmp_path / "new", tmp_path / name)

        assert (tmp_path / "folder" / "old").exists()
        assert (tmp_path / "file").is_file()
        assert (tmp_path / "new" / "new").exists()

    def test_names_the_folder(self, tmp_path: Path) -> None:
        """Also below folders that are not there yet."""
        (tmp_path / "new").mkdir()

        publish_new_folder(tmp_path / "new", tmp_path / "more" / "final")

        assert (tmp_path / "more" / "final").is_dir()
        assert not (tmp_path / "new").exists()
