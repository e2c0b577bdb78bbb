"""The audit record: what it says, and what a roll back goes by."""

from __future__ import annotations

import json
from pathlib import Path

import alembic.command
import alembic.config
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, text

from shared.names import AdapterName, AliasName
from shared.rpc.page import Page
from trainer_svc.domain.promotion_record import PromotionWay, revision_before
from trainer_svc.store import promotion_log
from trainer_svc.store.database import Database

WAYS = st.sampled_from([way for way in PromotionWay if way is not PromotionWay.ROLL_BACK_ALIAS])
LIVE = AliasName("acme", "a", "live")


class TestRevisionBefore:
    """`revision_before`."""

    def test_goes_back_step_by_step(self) -> None:
        """A second roll back does not undo the first; a move after it can be rolled back itself."""
        moves = [(PromotionWay.SET_ALIAS, name) for name in "123"]
        back = PromotionWay.ROLL_BACK_ALIAS

        assert revision_before(moves) == "2"
        assert revision_before([*moves, (back, "2")]) == "1"
        assert revision_before([*moves, (back, "2"), (back, "1")]) == ""
        assert revision_before([*moves, (back, "2"), (PromotionWay.TRAINING_JOB, "4")]) == "2"

    def test_looks_past_changes_of_canaries(self) -> None:
        """They leave the revision as it is."""
        moves = [
            (PromotionWay.SET_ALIAS, "1"), (PromotionWay.TRAINING_JOB, "2"), (PromotionWay.TRAINING_JOB, "2"),
            (PromotionWay.ROLL_BACK_CANARY, "2"),
        ]  # fmt: skip

        assert revision_before(moves) == "1"
        assert revision_before(moves[:1]) == revision_before([]) == ""

    @given(st.lists(st.tuples(WAYS, st.sampled_from("12345")), max_size=12), st.integers(1, 12))
    def test_ends_at_the_first_revision(self, moves: list[tuple[PromotionWay, str]], steps: int) -> None:
        """Each step leads to another revision than that of before it; they come to an end where the alias began."""
        for _ in range(steps):
            earlier = revision_before(moves)
            if not earlier:
                break
            assert earlier != moves[-1][1]
            moves = [*moves, (PromotionWay.ROLL_BACK_ALIAS, earlier)]
        else:
            return
        assert not moves or moves[-1][1] == moves[0][1]


class TestMigration:
    """Version 0004."""

    def test_takes_over_what_was_moved_before(self, tmp_path: Path) -> None:
        """As far as it is known: each move with its time, of nobody; the newest can be rolled back."""
        url = f"sqlite:///{tmp_path / 'old.db'}"
        engine = create_engine(url)
        split = {"revision": {"tenant": "acme", "adapter": "a", "number": 3}, "percent": 5}
        with engine.begin() as connection:
            _upgrade(connection, "0003")
            for version, (revision, canary) in enumerate([(1, None), (2, None), (2, split)], 1):
                body = {
                    "name": str(LIVE), "revision": f"tenants/acme/adapters/a/revisions/{revision}",
                    "version": version, "update_time": f"2026-01-0{version}T00:00:00Z", "canary": canary,
                }  # fmt: skip
                connection.execute(text("INSERT INTO alias_changes (body) VALUES (:b)"), {"b": json.dumps(body)})
            _upgrade(connection, "head")
        engine.dispose()
        database = Database(url)
        with database._engine.begin() as connection:
            entries, _ = promotion_log.list_promotions(connection, AdapterName("acme", "a"), Page(10, ""))
            moves = promotion_log.moves_of(connection, LIVE)
            other = promotion_log.moves_of(connection, AliasName("globex", "a", "live"))
        database.close()

        last = entries[0]
        assert [entry.number for entry in entries] == [3, 2, 1]
        assert (last.from_revision, last.to_revision) == (f"{LIVE.adapter_name}/revisions/2",) * 2
        assert (last.from_canary, last.to_canary, last.to_canary_percent) == (
            "", f"{LIVE.adapter_name}/revisions/3", 5,
        )  # fmt: skip
        assert (last.time.day, last.cause.way, last.cause.actor.subject) == (3, PromotionWay.EARLIER, "")
        assert revision_before(moves) == f"{LIVE.adapter_name}/revisions/1"
        assert other == []

    def test_of_an_empty_registry_takes_over_nothing(self, database: Database) -> None:
        """A new installation begins with an empty record."""
        with database._engine.begin() as connection:
            assert promotion_log.list_promotions(connection, AdapterName("acme", "a"), Page(10, "")) == ([], "")


def _upgrade(connection: Connection, version: str) -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", "trainer_svc:store/migrations")
    config.attributes["connection"] = connection
    alembic.command.upgrade(config, version)
