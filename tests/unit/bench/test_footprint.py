"""What the benchmark of hostile uploads sees of a house."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from tests.hostile_upload.footprint import Memory, unowned

_HOLDER = "import sys; kept = b'x' * (100 << 20); print(len(kept), flush=True); sys.stdin.read()"


class TestMemory:
    """Of a process and its children."""

    def test_counts_what_a_child_holds(self) -> None:
        """Memory that only a child has taken is growth."""
        memory, command = Memory(os.getpid()), [sys.executable, "-c", _HOLDER]
        with contextlib.ExitStack() as stack:
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            stack.enter_context(child)
            stack.callback(child.kill)
            with memory:
                assert child.stdout is not None
                child.stdout.readline()

        assert memory.growth_mib > 90
        assert memory.service_growth_mib < 50


class TestUnowned:
    """Files of a trainer that nothing accounts for."""

    def test_names_blobs_of_datasets_that_failed(self, tmp_path: Path) -> None:
        """What an accepted dataset holds is owned; a failed one's bytes, uploads and scratch files are not."""
        kept, left = "a" * 64, "b" * 64
        (tmp_path / "blobs").mkdir()
        for name in (kept, left, "upload"):
            (tmp_path / "blobs" / name).touch()
        with contextlib.closing(sqlite3.connect(tmp_path / "trainer.db")) as database:
            database.execute("CREATE TABLE datasets (body TEXT)")
            bodies = [{"state": "active", "digest": f"sha256:{kept}"}, {"state": "failed", "digest": f"sha256:{left}"}]
            database.executemany("INSERT INTO datasets VALUES (?)", [(json.dumps(body),) for body in bodies])
            database.commit()

        found = unowned(tmp_path, set())

        assert found == {tmp_path / "blobs" / left, tmp_path / "blobs" / "upload"}
