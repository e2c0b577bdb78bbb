"""The database, the uploads and the alias log."""

from __future__ import annotations

import asyncio
import json
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

from shared.adapter.canary import CanaryRollback, CanarySplit, RollbackReason
from shared.changes import Changes
from shared.errors import Conflict, InvalidInput, NotFound, OutOfRange, Unavailable
from shared.names import AdapterName, AliasName, DatasetName, RevisionName
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from trainer_svc.app.live_comparison import StoredAnswers
from trainer_svc.app.promotion_gate import PromotionGate
from trainer_svc.app.registry import RegistryReader
from trainer_svc.app.upload import Uploads
from trainer_svc.domain.promotion_record import Actor
from trainer_svc.domain.registry import Alias, AliasChange, Revision
from trainer_svc.store import catalog, shelf
from trainer_svc.store.codec import dump, load
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
        assert uploads.path(name).read_bytes() == b"hello world"
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

    def test_a_trial_keeps_its_start_while_canary_and_revision_stay(
        self, transact: Transact, clock: ManualClock
    ) -> None:
        """Percent and policy may change under way; another canary, or another revision beside it, is another trial."""
        names = [RevisionName.parse(transact(lambda c: _publish(c, clock)).name) for _ in range(3)]

        def put(live: int, canary: int, percent: int) -> Alias:
            clock.advance(1.0)
            split = CanarySplit(names[canary], percent)
            return transact(lambda c: shelf.set_alias(c, LIVE, names[live], "", clock.now(), canary=split))

        begun, same, more, other, moved = put(0, 1, 5), put(0, 1, 5), put(0, 1, 50), put(0, 2, 50), put(1, 2, 50)
        starts = [alias.canary.start_time for alias in (begun, same, more, other, moved) if alias.canary]

        assert same == begun
        assert more.version == begun.version + 1
        assert starts[0] == starts[1] == starts[2] < starts[3] < starts[4]

    def test_a_canary_is_rolled_back_once(self, transact: Transact, clock: ManualClock) -> None:
        """The trial that was judged ends; a later one of the same revision, or none, is left alone."""
        names = [RevisionName.parse(transact(lambda c: _publish(c, clock)).name) for _ in range(2)]
        split = CanarySplit(names[1], 5)
        set_it = lambda canary: transact(  # noqa: E731
            lambda c: shelf.set_alias(c, LIVE, names[0], "", clock.now(), canary=canary)
        )
        first = set_it(split)
        rollback = CanaryRollback(names[1], RollbackReason.LATENCY, "slow", clock.now())
        roll_back = lambda start: transact(  # noqa: E731
            lambda c: shelf.roll_back_canary(c, LIVE, rollback, start)
        )
        start = first.canary.start_time
        ended, did = roll_back(start)
        again, did_again = roll_back(start)
        clock.advance(1.0)
        second = set_it(split)
        late, did_late = roll_back(start)

        assert (did, did_again, did_late) == (True, False, False)
        assert (ended.revision, ended.canary, ended.last_rollback) == (str(names[0]), None, rollback)
        assert again == ended
        assert late == second
        assert (late.canary.revision, late.last_rollback) == (names[1], rollback)
        assert len(transact(lambda c: shelf.alias_changes_after(c, 0))) == 3

    def test_an_alias_of_before_there_were_canaries_has_none(self, transact: Transact, clock: ManualClock) -> None:
        """Rows that an older version wrote are read as they were meant."""
        revision = RevisionName.parse(transact(lambda c: _publish(c, clock)).name)
        alias = transact(lambda c: shelf.set_alias(c, LIVE, revision, "", clock.now()))
        old = json.loads(dump(alias))
        del old["canary"], old["last_rollback"]

        assert set(old) == {"name", "revision", "version", "update_time"}
        assert load(Alias, json.dumps(old)) == alias

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
        blobs = LocalBlobStore(tmp_path)
        registry = RegistryReader(database, blobs, changes, clock, PromotionGate(StoredAnswers(blobs)))

        async def scenario() -> list[str]:
            await registry.set_alias(LIVE, RevisionName.parse(names[0]), "", actor=Actor("ada"))
            seen, cursor = [], ""
            async with aclosing(registry.watch("")) as stream:
                async for change in stream:
                    if isinstance(change, AliasChange):
                        seen.append(change.alias.revision)
                        cursor = str(change.cursor)
                    else:
                        await registry.set_alias(LIVE, RevisionName.parse(names[1]), "", actor=Actor("ada"))
                    if len(seen) == 2:
                        break
            with pytest.raises(OutOfRange):
                await anext(registry.watch("99"))
            changes.close()
            with pytest.raises(Unavailable):
                await anext(registry.watch(cursor))
            return seen

        assert asyncio.run(scenario()) == names
