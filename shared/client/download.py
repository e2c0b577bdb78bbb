"""A published adapter as a folder of files: fetched, checked, and whole once it exists."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from goldsmith.registry.v1 import adapter_pb2
from shared.adapter.manifest import AdapterManifest
from shared.adapter.package import FILE_NAMES, MANIFEST_NAME, MAX_FILE_BYTES, SIGNATURE_NAME, read_package
from shared.client.trainer import TrainerClient
from shared.digest import is_digest, sha256_file
from shared.errors import AlreadyExists, DataLoss, DeadlineExceeded, Unavailable
from shared.files import publish_new_folder

_NEEDED = {MANIFEST_NAME, *FILE_NAMES}
_RETRIES = 5
"""Without a new byte in between; beside those of the channel, which cover a stream that never began."""


@contextmanager
def fetched_revision(
    trainer: TrainerClient, revision: adapter_pb2.AdapterRevision, folder: Path
) -> Iterator[tuple[Path, AdapterManifest]]:
    """The files of a revision as they were published: where they lie at first, and as `folder` after the block.

    Until then they lie beside it, in a new folder that only this user can open: nobody who shares the parent can plant
    a file or a link there, or read what was not checked. After a failure, also one of the block, they are gone.

    Raises:
        AlreadyExists: something was put at `folder` meanwhile.
        DataLoss: the bytes are not those that the registry names.
        StateConflict: they are no adapter's package.
        DomainError: whatever else the server reported.
        OSError: the disk is full or not writable.
    """
    _check_files(revision)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent) as room:
        package = Path(room, "package")  # inside: the room's own rights would be those of the published folder
        package.mkdir()
        for file in revision.files:
            _fetch(trainer, revision.name, file, package / file.filename)
        yield package, read_package(package, revision.digest)
        try:
            publish_new_folder(package, folder)
        except FileExistsError as err:
            raise AlreadyExists("RESOURCE_EXISTS", f"{folder} exists", hint="name a new folder") from err


def _check_files(revision: adapter_pb2.AdapterRevision) -> None:
    """Before any of these names becomes a path."""
    names = [file.filename for file in revision.files]
    if set(names) - {SIGNATURE_NAME} != _NEEDED or len(set(names)) != len(names) or not is_digest(revision.digest):
        raise DataLoss("DIGEST_MISMATCH", f"{revision.name} is no package of an adapter: {names[:8]}")
    for file in revision.files:
        if not 0 <= file.size_bytes <= MAX_FILE_BYTES:
            raise DataLoss("DIGEST_MISMATCH", f"{revision.name}: {file.filename} cannot have {file.size_bytes} bytes")


def _fetch(trainer: TrainerClient, name: str, file: adapter_pb2.PackageFile, path: Path) -> None:
    path.touch()
    failures, size = 0, 0
    while size < file.size_bytes:
        try:
            with path.open("ab") as sink:
                for data in trainer.file_chunks(name, file.filename, size):
                    sink.write(data)
                    size, failures = size + len(data), 0
                    if size > file.size_bytes:
                        break
        except (Unavailable, DeadlineExceeded):
            failures += 1
            if failures > _RETRIES:
                raise
            time.sleep(min(5.0, 0.2 * 2**failures))
        else:
            break
    if size != file.size_bytes or sha256_file(path) != file.digest:
        raise DataLoss("DIGEST_MISMATCH", f"{name}: {file.filename} is not what the registry names", hint="try again")
