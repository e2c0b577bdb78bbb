"""Execution match: statements compared by their results."""

from __future__ import annotations

import pytest

from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import InvalidInput
from trainer_svc.evaluation.execution import executes_alike

SPEC = ContractSpec(ContractKind.SQL, ddl="CREATE TABLE t (a INTEGER, b TEXT);")
ROWS = "INSERT INTO t VALUES (1, 'x'); INSERT INTO t VALUES (2, 'y'); INSERT INTO t VALUES (2, 'z');"


def _is_alike(golden: str, generated: str, database_sql: str = ROWS) -> bool | None:
    return executes_alike(SPEC, database_sql, [golden], [generated])[0]


class TestExecutesAlike:
    """On the supplied database and on instances."""

    @pytest.mark.parametrize(
        ("golden", "generated", "same"),
        [
            ("SELECT a FROM t WHERE b = 'x'", "SELECT t.a FROM t WHERE 'x' = t.b", True),
            ("SELECT a FROM t", "SELECT a FROM t ORDER BY a DESC", True),
            ("SELECT a FROM t ORDER BY a", "SELECT a FROM t ORDER BY a DESC", False),
            ("SELECT b FROM t WHERE a IN (SELECT a FROM t ORDER BY a LIMIT 2)",
             "SELECT b FROM t WHERE a IN (SELECT a FROM t ORDER BY a LIMIT 2) ORDER BY b DESC", True),
            ("SELECT a FROM t WHERE b <> ' ORDER BY '", "SELECT a FROM t WHERE b <> ' ORDER BY ' ORDER BY b", True),
            ("SELECT a FROM t UNION SELECT 5 ORDER BY a", "SELECT a FROM t UNION SELECT 5 ORDER BY a DESC", False),
            ("SELECT a * 0.1 + 0.2 FROM t", "SELECT 0.2 + 0.1 * a FROM t", True),
            ("SELECT a FROM t", "SELECT DISTINCT a FROM t", False),
            ("SELECT a FROM t", "SELECT nothing FROM t", False),
            ("SELECT a FROM t", "SELECT '\ud800'", False),
            ("SELECT a FROM t", "SELECT '\0'", False),
            ("SELECT COUNT(*) FROM t", "DELETE FROM t", False),
            ("SELECT nothing FROM t", "SELECT a FROM t", False),
            ("SELECT 1", "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT COUNT(*) FROM n", False),
        ],
    )  # fmt: skip
    def test_compares_results(self, golden: str, generated: str, same: bool) -> None:
        """Order counts where the golden statement orders its result; writes are denied, endless queries stopped."""
        assert _is_alike(golden, generated) is same

    def test_finds_what_one_database_hides(self) -> None:
        """Two statements that agree on the supplied rows by chance differ on an instance."""
        golden, generated = "SELECT a FROM t WHERE b = 'x'", "SELECT MIN(a) FROM t"

        assert _is_alike(golden, generated) is False

    def test_needs_no_supplied_database(self) -> None:
        """The DDL is enough."""
        assert _is_alike("SELECT a FROM t", "SELECT a FROM t WHERE a > 0", "") is False
        assert _is_alike("SELECT a FROM t", "SELECT t.a FROM t", "") is True

    def test_holds_on_the_supplied_database_too(self) -> None:
        """A value that only the supplied rows have tells the statements apart."""
        rows = "INSERT INTO t VALUES (123456, 'x');"
        golden, generated = "SELECT b FROM t", "SELECT b FROM t WHERE a IS NULL OR a * 2 <> 246912"

        assert _is_alike(golden, generated, "") is True
        assert _is_alike(golden, generated, rows) is False

    def test_no_statement_changes_what_the_next_one_sees(self) -> None:
        """A generated write or PRAGMA is denied and counts as wrong; later rows are compared as if it never ran."""
        golden = ["SELECT COUNT(*) FROM t"] * 4
        generated = ["DELETE FROM t", "PRAGMA writable_schema=1", "ATTACH ':memory:' AS a", "SELECT COUNT(1) FROM t"]

        assert executes_alike(SPEC, ROWS, golden, generated) == [False, False, False, True]

    def test_knows_sqlite_alone(self) -> None:
        """Other dialects have no execution match, nor has a DDL that SQLite cannot build."""
        other = ContractSpec(ContractKind.SQL, ddl=SPEC.ddl, dialect="postgres")
        unbuildable = ContractSpec(ContractKind.SQL, ddl="CREATE TABLE t (a INT, a INT);")

        assert executes_alike(other, "", ["SELECT a FROM t"], ["SELECT a FROM t"]) == [None]
        assert executes_alike(unbuildable, "", ["SELECT a FROM t"], ["SELECT a FROM t"]) == [None]
        with pytest.raises(InvalidInput):
            executes_alike(unbuildable, ROWS, ["SELECT a FROM t"], ["SELECT a FROM t"])
