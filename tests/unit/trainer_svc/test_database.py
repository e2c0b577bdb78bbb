"""The database of execution match: a tenant's SQL that must reach nothing but its own tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import InvalidInput
from trainer_svc.evaluation.database import open_database

DDL = "CREATE TABLE city (id INTEGER PRIMARY KEY, name TEXT UNIQUE);"


class TestOpenDatabase:
    """Building it from the contract's DDL and the dataset's rows."""

    def test_takes_what_a_dump_holds(self) -> None:
        """Transactions and harmless PRAGMAs of a dump are no hindrance."""
        dump = "PRAGMA foreign_keys=OFF; BEGIN TRANSACTION; INSERT INTO city VALUES (1, 'Oslo'); COMMIT;"

        with open_database(DDL, dump) as database:
            assert database.execute("SELECT name FROM city").fetchall() == [("Oslo",)]

    @pytest.mark.parametrize(
        "script",
        [
            "ATTACH '{file}' AS other; CREATE TABLE other.t (a);",
            "VACUUM INTO '{file}';",
            "CREATE VIRTUAL TABLE v USING fts5(x);",
            "CREATE TRIGGER g AFTER INSERT ON city BEGIN SELECT 1; END;",
            "INSERT INTO city VALUES (1, load_extension('{file}'));",
            "INSERT INTO city VALUES (1, randomblob(1000000000));",
            "INSERT INTO nowhere VALUES (1);",
            "INSERT INTO city VALUES (1, 'a'), (1, 'b');",
            "no SQL at all",
            "SELECT '\0';",
        ],
    )
    def test_refuses_what_reaches_out_or_fails(self, script: str, tmp_path: Path) -> None:
        """Files, code, huge values and mistakes are the tenant's error, named, and leave nothing behind."""
        file = tmp_path / "other.db"

        with pytest.raises(InvalidInput) as caught, open_database(DDL, script.replace("{file}", str(file))):
            pass

        assert caught.value.reason == "FIELD_INVALID"
        assert caught.value.violations[0].path == "dataset.database_sql"
        assert not file.exists()

    def test_stops_endless_work(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Rows that never end are interrupted by a count of steps."""
        monkeypatch.setattr("trainer_svc.evaluation.database._MAX_SETUP_CALLBACKS", 20)
        endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) INSERT INTO city SELECT x, x FROM n;"

        with pytest.raises(InvalidInput, match="interrupted"), open_database(DDL, endless):
            pass

    def test_cannot_grow_without_bound(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The page limit holds although the script asks for more."""
        monkeypatch.setattr("trainer_svc.evaluation.database._MAX_PAGES", 10)
        large = "PRAGMA max_page_count = 1000000; INSERT INTO city VALUES (1, zeroblob(1000000));"

        with pytest.raises(InvalidInput, match="full"), open_database(DDL, large):
            pass

    def test_names_the_ddl_when_that_is_at_fault(self) -> None:
        """The violation says which of the two texts to change."""
        with pytest.raises(InvalidInput) as caught, open_database("CREATE TABLE t (a), (b);", ""):
            pass

        assert caught.value.violations[0].path == "contract.ddl"
