"""The database, the uploads and the alias log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect

from shared.changes import Changes
from shared.errors import Conflict, InvalidInput, NotFound, OutOfRange, Unavailable
from shared.names import AdapterName, AliasName, DatasetName, RevisionName
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from trainer_svc.app.registry import RegistryReader
from trainer_svc.app.upload import Uploads
from trainer_svc.domain.registry import AliasChange, Revision
from trainer_svc.store import catalog, shelf
from trainer_svc.store.database import Database
from trainer_svc.store.table import metadata

Transact = Callable[[Callable[..., Any]], Any]
ADAPTER = AdapterName("acme", "a")
LIVE = AliasName("acme", "a", "live")


def _publish(connection: Any, clock: ManualClock) -> Revision:
    revision = Revision("", "sha256:" + "0" * 64, (), "tenants/acme/jobs/j", "c", "b", clock.now())
    return shelf.add_revision(connection, ADAPTER, revision)


class TestMigrations:
    """Alembic's history."""

    def test_give_the_tables_of_the_code(self, transact: Transact) -> None:
        """A migrated database differs from the tables in nothing."""
        assert transact(lambda c: compare_metadata(MigrationContext.configure(c), metadata)) == []

    def test_can_be_taken_back(self, tmp_path: Path) -> None:
        """Downgrading to nothing leaves nothing."""
        url = f"sqlite:///{tmp_path / 'x.db'}"
        database = Database(url)
        database.migrate()
        database.close()
        engine = create_engine(url)
        config = alembic.config.Config()
        config.set_main_option("script_location", "trainer_svc:store/migrations")
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            alembic.command.downgrade(config, "base")
        with engine.begin() as connection:
            assert inspect(connection).get_table_names() == ["alembic_version"]
        engine.dispose()


class TestTransactions:
    """Units of work."""

    def test_keep_nothing_when_they_fail(self, transact: Transact, clock: ManualClock) -> None:
        """An error takes back what came before it."""

        def work(connection: Any) -> None:
            _publish(connection, clock)
            raise NotFound("RESOURCE_NOT_FOUND", "on purpose")

        with pytest.raises(NotFound):
            transact(work)
        with pytest.raises(NotFound):
            transact(lambda c: shelf.get_revision(c, RevisionName("acme", "a", 1)))

    def test_a_request_id_means_one_payload(self, transact: Transact) -> None:
        """A repeat is known; the same id with another payload is refused."""
        ask = lambda digest: transact(lambda c: catalog.repeated(c, "acme", "Create", "id", digest))  # noqa: E731

        assert [ask("a"), ask("a")] == [False, True]
        with pytest.raises(InvalidInput) as caught:
            ask("b")
        assert caught.value.reason == "REQUEST_ID_REUSED"


class TestUploads:
    """Bytes at offsets."""

    def test_resume_where_they_broke_off(self, tmp_path: Path) -> None:
        """Repeats and overlaps are fine, a gap names the next offset, other bytes are refused."""
        uploads, name = Uploads(tmp_path), DatasetName("acme", "d")

        assert uploads.write(name, 0, b"hello ") == 6
        assert uploads.write(name, 0, b"hello ") == 6
        assert uploads.write(name, 3, b"lo world") == 11
        with pytest.raises(OutOfRange) as gap:
            uploads.write(name, 12, b"x")
        with pytest.raises(Conflict):
            uploads.write(name, 0, b"HELLO")

        assert gap.value.metadata["next_offset"] == "11"
        assert uploads.read(name) == b"hello world"
        assert Uploads(tmp_path).size(name) == 11


class TestAliases:
    """Movable names."""

    def test_an_etag_protects_a_move(self, transact: Transact, clock: ManualClock) -> None:
        """Who moved with an old etag is told to read again; the same move twice is one."""
        first, second = (transact(lambda c: _publish(c, clock)) for _ in range(2))
        move = lambda revision, etag: transact(  # noqa: E731
            lambda c: shelf.set_alias(c, LIVE, RevisionName.parse(revision.name), etag, clock.now())
        )
        alias = move(first, "")
        assert move(first, "") == alias
        moved = move(second, str(alias.version))
        with pytest.raises(Conflict):
            move(first, str(alias.version))
        with pytest.raises(NotFound):
            transact(lambda c: shelf.set_alias(c, LIVE, RevisionName("acme", "a", 9), "", clock.now()))

        assert moved.revision == second.name
        assert len(transact(lambda c: shelf.alias_changes_after(c, 0))) == 2

    def test_the_present_comes_in_the_order_of_the_last_moves(self, transact: Transact, clock: ManualClock) -> None:
        """So that a replica with fewer places than there are aliases knows what is recent."""
        name = RevisionName.parse(transact(lambda c: _publish(c, clock)).name)
        for alias in ("b", "c", "a", "b"):
            revision = RevisionName.parse(transact(lambda c: _publish(c, clock)).name) if alias == "b" else name
            transact(lambda c: shelf.set_alias(c, AliasName("acme", "a", alias), revision, "", clock.now()))  # noqa: B023  # run at once
            clock.advance(1.0)

        present = transact(shelf.all_aliases)

        assert [AliasName.parse(change.alias.name).alias for change in present] == ["c", "a", "b"]

    def test_a_watch_gives_the_present_then_each_change(
        self, database: Database, transact: Transact, clock: ManualClock, tmp_path: Path
    ) -> None:
        """Without a cursor the present state comes first; with one, only what came after; a foreign one is refused."""
        names = [transact(lambda c: _publish(c, clock)).name for _ in range(2)]
        changes = Changes()
        registry = RegistryReader(database, LocalBlobStore(tmp_path), changes, clock)

        async def scenario() -> list[str]:
            await registry.set_alias(LIVE, RevisionName.parse(names[0]), "")
            seen, cursor = [], ""
            async with aclosing(registry.watch("")) as stream:
                async for change in stream:
                    if isinstance(change, AliasChange):
                        seen.append(change.alias.revision)
                        cursor = str(change.cursor)
                    else:
                        await registry.set_alias(LIVE, RevisionName.parse(names[1]), "")
                    if len(seen) == 2:
                        break
            with pytest.raises(OutOfRange):
                await anext(registry.watch("99"))
            changes.close()
            with pytest.raises(Unavailable):
                await anext(registry.watch(cursor))
            return seen

        assert asyncio.run(scenario()) == names
