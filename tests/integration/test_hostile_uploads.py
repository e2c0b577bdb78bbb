"""Uploads that a hostile tenant would send, to a real trainer in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from deploy.quickstart.service_process import ServiceProcess
from tests.hostile_upload import call, columns, comma_separated, json_lines
from tests.hostile_upload.attack import Attack, Room
from tests.hostile_upload.footprint import Memory, files, unowned
from tests.trainer_process import trainer_process

pytestmark = pytest.mark.timeout(300)
_LARGE = ("bomb", "MiB", "million", "thousand", "gzip", "100,001", "row too many")
"""In the names of what takes seconds each: `python -m tests.bench hostile_uploads` has them all."""

_COSTLY = ("a bomb of a dictionary", "a gzip bomb", "one row of 60 MiB")
"""Of those, one of each kind, which are tried here too."""
_SERVICE_GROWTH_MIB, _GROWTH_MIB = 128, 800
"""Alone, and with a child that unpacks Parquet within a GiB of addresses: 9 and 625 measured; a bomb is 1,200."""


def _named(attacks: Iterator[Attack]) -> Sequence[object]:
    return [
        pytest.param(attack, id=attack.name.encode("ascii", "backslashreplace").decode())
        for attack in attacks
        if not any(word in attack.name for word in _LARGE)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The service's data."""
    return tmp_path_factory.mktemp("trainer")


@pytest.fixture(scope="module")
def process(folder: Path, tiny_base_folder: Path) -> Iterator[ServiceProcess]:
    """A trainer."""
    with trainer_process(folder, tiny_base_folder) as own:
        yield own


@pytest.fixture(scope="module")
def room(process: ServiceProcess) -> Iterator[Room]:
    """One tenant's connection."""
    own = Room(process.wait_ready(60))
    yield own
    own.close()


class TestHostileUploads:
    """Each gets one precise answer."""

    @pytest.mark.parametrize("attack", _named(json_lines.attacks()))
    def test_json_lines(self, room: Room, attack: Attack) -> None:
        """A row is told by its line, a file by what it is."""
        assert attack.outcome(room) == attack.expected

    @pytest.mark.parametrize("attack", _named(comma_separated.attacks()))
    def test_csv(self, room: Room, attack: Attack) -> None:
        """After a quote that does not match nothing is guessed."""
        assert attack.outcome(room) == attack.expected

    @pytest.mark.parametrize("attack", _named(columns.attacks()))
    def test_parquet(self, room: Room, attack: Attack) -> None:
        """What ends the reader does not end the service."""
        assert attack.outcome(room) == attack.expected

    @pytest.mark.parametrize("attack", _named(call.attacks()))
    def test_calls(self, room: Room, attack: Attack) -> None:
        """Names are ids and never paths; a lie about bytes stores nothing."""
        assert attack.outcome(room) == attack.expected

    def test_bombs_and_long_rows_cost_little_memory(self, room: Room, process: ServiceProcess) -> None:
        """The service does not grow, and the child that reads a file ends before the whole of a bomb is unpacked."""
        attacks = [a for a in (*json_lines.attacks(), *columns.attacks()) if a.name.endswith(_COSTLY)]

        with Memory(process.process.pid) as memory:
            outcomes = {attack.name: attack.outcome(room) for attack in attacks}

        assert len(attacks) == len(_COSTLY)
        assert outcomes == {attack.name: attack.expected for attack in attacks}
        assert memory.service_growth_mib < _SERVICE_GROWTH_MIB
        assert memory.growth_mib < _GROWTH_MIB

    def test_abandoned_ones_are_gone_after_a_kill_and_a_start(
        self, room: Room, process: ServiceProcess, folder: Path
    ) -> None:
        """Of the sealed ones only what was accepted is left, at once; of the others nothing when their time is over."""
        name = room.create()
        room.put(name, b"half a row")
        uploads = folder / "data" / "uploads"
        contracts = files(folder / "data" / "contracts")
        left = [path for path in uploads.rglob("*") if path.is_file()]
        assert uploads / "acme" / f"{name.rpartition('/')[2]}.upload" in left
        process.kill()
        for path in left:
            os.utime(path, (0, 0))

        process.start()
        Room(process.wait_ready(60)).close()
        process.stop()

        assert unowned(folder / "data", contracts) == set()
        assert "INTERNAL" not in (folder / "log").read_text()
