"""Files that are either whole or absent, whenever the process or the machine dies."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from tempfile import NamedTemporaryFile


def sync_folder(folder: Path) -> None:
    """Makes renames inside `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes) -> None:
    """Writes `path` so that a reader sees the old content or the new, never a part.

    Raises:
        OSError: the disk is full or not writable; the old content is intact.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    sync_folder(path.parent)


def publish_folder(temporary: Path, final: Path) -> None:
    """Renames a finished folder to its name, durably; if `final` stands already, it wins and `temporary` is removed.

    Meant for content-addressed names, where an existing folder has the same content.
    """
    try:
        publish_new_folder(temporary, final)
    except FileExistsError:
        if not final.is_dir():
            raise
        shutil.rmtree(temporary)
        sync_folder(final.parent)


def publish_new_folder(temporary: Path, final: Path) -> None:
    """Renames a finished folder to its name, durably; both are on one disk, and an empty folder may stand there.

    Raises:
        FileExistsError: something else stands there, since before or since a moment ago; `temporary` is left.
        OSError: it cannot be renamed or written; `temporary` is left.
    """
    for path in temporary.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    sync_folder(temporary)
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary.rename(final)
    except OSError as err:
        if final.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(final)) from err
        raise
    sync_folder(final.parent)


def replace_folder(temporary: Path, final: Path, former: Path) -> None:
    """Renames a finished folder to its name, durably, in place of one that may stand there.

    At every moment there is a whole one as `final` or, where there was one, as `former`; after a death in between
    `restore_folder` comes first.

    Raises:
        OSError: a folder cannot be renamed or removed; what stood is there still, as above.
    """
    if final.is_dir():
        if former.is_dir():  # a death before its removal
            shutil.rmtree(former)
        final.rename(former)
    publish_folder(temporary, final)
    shutil.rmtree(former, ignore_errors=True)  # the next one tries again


def restore_folder(final: Path, former: Path) -> None:
    """Puts back what `replace_folder` had moved away when it died; nothing where it was done, or never begun."""
    if former.is_dir() and not final.exists():
        former.rename(final)
        sync_folder(final.parent)
