"""Memory that a new process could take."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from trainer_svc.app.free_memory import free_bytes

MIB = 1 << 20


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    """A service in the group a/b, of which only a has a limit: 64 MiB, 40 taken, of which 6 are a cache."""
    own = tmp_path / "groups" / "a" / "b"
    own.mkdir(parents=True)
    for folder, limit in ((own, "max"), (own.parent, str(64 * MIB))):
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{40 * MIB}\n")
        (folder / "memory.stat").write_text(f"anon {30 * MIB}\ninactive_file {6 * MIB}\n")
    (tmp_path / "cgroup").write_text("0::/a/b\n")
    return tmp_path


class TestFreeBytes:
    """The least of the machine and its control groups."""

    def test_is_what_the_tightest_group_leaves(self, groups: Path) -> None:
        """A parent's limit holds, too, and a cache is given up."""
        assert free_bytes(groups / "groups", groups / "cgroup") == 30 * MIB

    def test_is_the_machines_without_groups(self, tmp_path: Path) -> None:
        """Neither version 1 nor a system without them is an error."""
        (tmp_path / "cgroup").write_text("4:memory:/a\n")

        for own in ("cgroup", "absent"):
            assert 0 < free_bytes(tmp_path, tmp_path / own) <= psutil.virtual_memory().total
