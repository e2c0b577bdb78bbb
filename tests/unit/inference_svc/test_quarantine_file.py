"""The file of barred contents: what it says, and what becomes of one that is broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference_svc.app import quarantine as module
from inference_svc.app.quarantine import Quarantine
from shared.errors import InvalidInput, StateConflict
from tests.unit.inference_svc.conftest import StoppedClock, revision

DIGEST = "sha256:" + "7" * 64


class TestQuarantineFile:
    """The file of barred contents."""

    def test_says_what_was_barred_where_and_when(self, tmp_path: Path) -> None:
        """One entry for each digest, for an operator to read, and to delete."""
        file = tmp_path / "state" / "quarantine.json"
        Quarantine(file, StoppedClock()).add(DIGEST, revision(3), "computed NaN")

        assert json.loads(file.read_bytes()) == {
            DIGEST: {"revision": str(revision(3)), "reason": "computed NaN", "time": "2026-11-21T12:00:00+00:00"}
        }
        with pytest.raises(StateConflict, match="computed NaN"):
            Quarantine(file, StoppedClock()).check(DIGEST)
        file.unlink()
        Quarantine(file, StoppedClock()).check(DIGEST)

    @pytest.mark.parametrize("text", ["", "[]", '{"sha256:1": 7}', '{"sha256:1": {"reason": "x"}}', "\xff"])
    def test_that_cannot_be_read_stops_the_service(self, tmp_path: Path, text: str) -> None:
        """What it barred would be let in again without a word."""
        (tmp_path / "quarantine.json").write_text(text, encoding="latin-1")

        with pytest.raises(InvalidInput, match="no list of quarantined adapters"):
            Quarantine(tmp_path / "quarantine.json", StoppedClock())

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"reason": None}, f"{DIGEST}.reason"),
            ({"reason": 7}, f"{DIGEST}.reason"),
            ({"revision": ["a"]}, f"{DIGEST}.revision"),
            ({"time": 1.5}, f"{DIGEST}.time"),
            ({"until": "tomorrow"}, f"{DIGEST}.until"),
        ],
        ids=["no reason", "number", "list", "time as a number", "unknown field"],
    )
    def test_with_an_entry_of_another_kind_is_refused_by_its_place(
        self, tmp_path: Path, change: dict[str, object], path: str
    ) -> None:
        """Whoever asked for that adapter would be answered an error without a reason."""
        entry = {"revision": str(revision(3)), "reason": "computed NaN", "time": "2026-11-21T12:00:00+00:00"}
        (tmp_path / "quarantine.json").write_text(json.dumps({DIGEST: entry | change}))

        with pytest.raises(InvalidInput) as caught:
            Quarantine(tmp_path / "quarantine.json", StoppedClock())

        assert [violation.path for violation in caught.value.violations] == [path]

    def test_with_what_is_no_digest_is_refused(self, tmp_path: Path) -> None:
        """It would bar nothing: an operator who mistyped it learns so at the start."""
        entry = {"revision": str(revision(3)), "reason": "computed NaN", "time": "2026-11-21T12:00:00+00:00"}
        (tmp_path / "quarantine.json").write_text(json.dumps({DIGEST[:-1]: entry}))

        with pytest.raises(InvalidInput, match="64 hex digits"):
            Quarantine(tmp_path / "quarantine.json", StoppedClock())

    def test_that_cannot_be_written_bars_until_the_process_ends(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A full disk opens no door."""

        def full(path: Path, data: bytes) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(module, "write_atomic", full)
        quarantine = Quarantine(tmp_path / "quarantine.json", StoppedClock())

        quarantine.add(DIGEST, revision(1), "computed NaN")

        with pytest.raises(StateConflict, match="computed NaN"):
            quarantine.check(DIGEST)
