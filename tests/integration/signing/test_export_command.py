"""`goldsmith export` against a real trainer."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from shared.adapter.package import MANIFEST_NAME, SIGNATURE_NAME, WEIGHTS_NAME, read_package
from shared.cli.main import app
from shared.client import TrainerClient
from shared.errors import Unavailable
from tests.cyclonedx_schema import assert_cyclonedx
from tests.integration.signing.house import ADAPTER, ONE, ROTTEN, SIGNED, UNSIGNED

pytestmark = pytest.mark.timeout(120)
Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """Runs a command of `goldsmith`."""

    def invoke(*arguments: str | Path) -> Result:
        return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})

    return invoke


@pytest.fixture
def export(run: Run, address: str) -> Run:
    """Exports a revision into a folder."""
    return lambda revision, folder: run("export", revision, folder, "--address", address)


class TestExport:
    """A revision as files."""

    def test_is_the_package_as_it_was_published(self, export: Run, run: Run, tmp_path: Path) -> None:
        """Manifest, weights, config and signature, nothing else: `goldsmith verify` passes it, with the key too."""
        (tmp_path / "keys").write_bytes(ONE.public_pem)

        result = export(SIGNED, tmp_path / "mine")

        assert result.exit_code == 0, result.output
        assert {path.name for path in (tmp_path / "mine").iterdir()} == {
            MANIFEST_NAME, WEIGHTS_NAME, "adapter_config.json", SIGNATURE_NAME,
        }  # fmt: skip
        assert read_package(tmp_path / "mine").digest in result.stdout
        assert run("verify", tmp_path / "mine", "--trusted-keys", tmp_path / "keys").exit_code == 0
        assert {path.name for path in tmp_path.iterdir()} == {"mine", "mine.cdx.json", "keys"}

    def test_has_its_bill_beside_it(self, export: Run, tmp_path: Path) -> None:
        """In CycloneDX, with the revision's name, its digest and who signed; each export writes the same bytes."""
        export(SIGNED, tmp_path / "mine")
        (tmp_path / "again").mkdir()
        export(SIGNED, tmp_path / "again" / "mine")

        data = (tmp_path / "mine.cdx.json").read_bytes()
        bill = json.loads(data)
        assert_cyclonedx(bill)
        subject = bill["metadata"]["component"]
        assert (subject["name"], subject["version"]) == (SIGNED, read_package(tmp_path / "mine").digest)
        assert ONE.signer.key_id in json.dumps(subject["properties"])
        assert (tmp_path / "again" / "mine.cdx.json").read_bytes() == data

    def test_of_an_unsigned_revision_has_no_signature(self, export: Run, tmp_path: Path) -> None:
        """And is whole all the same."""
        assert export(UNSIGNED, tmp_path / "mine").exit_code == 0

        assert not (tmp_path / "mine" / SIGNATURE_NAME).exists()

    def test_that_is_cut_off_leaves_nothing(self, export: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing has the folder's name before the end, and what was fetched is gone; the next call begins anew."""
        whole = TrainerClient.file_chunks

        def cut(client: TrainerClient, name: str, filename: str, offset: int = 0) -> Iterator[bytes]:
            for data in whole(client, name, filename, offset):
                if filename == WEIGHTS_NAME:
                    yield data[:1000]
                    raise KeyboardInterrupt
                yield data

        with monkeypatch.context() as patch:
            patch.setattr(TrainerClient, "file_chunks", cut)
            first = export(SIGNED, tmp_path / "mine")
        kept = list(tmp_path.iterdir())

        second = export(SIGNED, tmp_path / "mine")

        assert (first.exit_code, second.exit_code) == (130, 0)
        assert kept == []
        read_package(tmp_path / "mine")

    def test_takes_shape_where_nobody_else_can_put_anything(
        self, export: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In a folder of another name each time, closed to others; the package has the rights that new folders have."""
        rooms: list[tuple[str, int]] = []
        whole = TrainerClient.file_chunks

        def noting(client: TrainerClient, name: str, filename: str, offset: int = 0) -> Iterator[bytes]:
            rooms.extend((room.name, stat.S_IMODE(room.stat().st_mode)) for room in tmp_path.glob(".mine.*"))
            yield from whole(client, name, filename, offset)

        monkeypatch.setattr(TrainerClient, "file_chunks", noting)
        for _ in range(2):
            assert export(SIGNED, tmp_path / "mine").exit_code == 0
            rights = (tmp_path / "mine").stat().st_mode
            shutil.rmtree(tmp_path / "mine")
        (tmp_path / "new").mkdir()

        assert len({name for name, _ in rooms}) == 2
        assert {mode for _, mode in rooms} == {0o700}
        assert rights == (tmp_path / "new").stat().st_mode

    def test_tries_again_when_the_server_goes_away(
        self, export: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """From the byte that came last, a few times."""
        monkeypatch.setattr("shared.client.download.time.sleep", lambda seconds: None)
        whole, failures = TrainerClient.file_chunks, iter(range(3))

        def failing(client: TrainerClient, name: str, filename: str, offset: int = 0) -> Iterator[bytes]:
            for data in whole(client, name, filename, offset):
                yield data[:700]
                if next(failures, None) is not None:
                    raise Unavailable("NOT_SERVING", "it restarts")
                yield data[700:]

        monkeypatch.setattr(TrainerClient, "file_chunks", failing)

        assert export(SIGNED, tmp_path / "mine").exit_code == 0
        assert next(failures, None) is None

    def test_of_other_bytes_leaves_nothing(self, export: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What rotted in the store is refused by the server, what was changed on the way by the digest."""
        whole = TrainerClient.file_chunks

        def changing(client: TrainerClient, name: str, filename: str, offset: int = 0) -> Iterator[bytes]:
            yield from (data[::-1] for data in whole(client, name, filename, offset))

        rotten = export(ROTTEN, tmp_path / "rotten")
        monkeypatch.setattr(TrainerClient, "file_chunks", changing)
        changed = export(SIGNED, tmp_path / "mine")

        assert (rotten.exit_code, changed.exit_code) == (1, 1)
        assert "DIGEST_MISMATCH" in rotten.stderr
        assert "DIGEST_MISMATCH" in changed.stderr
        assert list(tmp_path.iterdir()) == []

    def test_overwrites_nothing(self, export: Run, tmp_path: Path) -> None:
        """Neither a folder nor the bill of another adapter."""
        (tmp_path / "mine").mkdir()
        (tmp_path / "other.cdx.json").write_text("{}")

        results = [export(SIGNED, tmp_path / name) for name in ("mine", "other")]

        assert [result.exit_code for result in results] == [1, 1]
        assert all("RESOURCE_EXISTS" in result.stderr for result in results)
        assert not (tmp_path / "other").exists()
        assert (tmp_path / "other.cdx.json").read_text() == "{}"

    def test_leaves_a_folder_that_appears_meanwhile(
        self, export: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As one that was there before: success is told of nothing but the package."""

        def overtaken(folder: Path) -> None:
            (tmp_path / "mine").mkdir()
            (tmp_path / "mine" / "other").touch()

        monkeypatch.setattr("shared.cli.export.read_signature", overtaken)

        result = export(SIGNED, tmp_path / "mine")

        assert result.exit_code == 1
        assert "RESOURCE_EXISTS" in result.stderr
        assert [path.name for path in (tmp_path / "mine").iterdir()] == ["other"]

    def test_of_what_is_not_there_says_so(self, export: Run, tmp_path: Path) -> None:
        """A malformed name too; and a place that cannot be written."""
        (tmp_path / "file").touch()

        results = [
            export(f"{ADAPTER}/99", tmp_path / "mine"),
            export("answer", tmp_path / "mine"),
            export(SIGNED, tmp_path / "file" / "mine"),
        ]

        assert [result.exit_code for result in results] == [1, 1, 1]
        assert [result.stderr.split(":")[0] for result in results] == [
            "RESOURCE_NOT_FOUND", "FIELD_INVALID", "FIELD_INVALID",
        ]  # fmt: skip
        assert [path.name for path in tmp_path.iterdir()] == ["file"]
