"""Which wrong statements one real database takes for right, and generated instances do not.

`python -m tests.bench evaluation`; about a minute. Each golden statement of the GeoQuery holdout gets each single
mistake at each place; some of these mistakes change nothing, so that no figure can reach 1. In turn the statements as
their authors wrote them must never count as other than their canonical spelling.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

from shared.contracts.check import canonicalise
from shared.contracts.spec import ContractSpec
from shared.errors import DomainError
from tests.bench.format_sql import geography
from tests.bench.gate_set import DATA
from tests.bench.result import Figures
from tests.bench.sql_mutation import mutations
from trainer_svc.evaluation.execution import executes_alike


def measure(data: Path = DATA) -> Figures:
    """Shares of mistakes that are found with the supplied database alone, and with the instances; 0..1."""
    if not data.is_dir():
        sys.exit(f"no real golden datasets in {data}: set GOLDSMITH_DATA")
    spec, statements = geography(data), _statements(data)
    pairs = sorted({(golden, wrong) for golden in statements for _, wrong in mutations(golden)})
    golden, wrong = [one for one, _ in pairs], [other for _, other in pairs]
    with_instances = executes_alike(spec, _inserts(data), golden, wrong)
    supplied = [_is_alike_on_supplied(data, *pair) for pair in pairs]
    for pair, is_missed in zip(pairs, with_instances, strict=True):
        if is_missed:
            sys.stderr.write(f"not told apart: {pair[0]}\n                {pair[1]}\n")
    return {
        "sql_mistakes": len(pairs),
        "sql_mistakes_found_by_one_database": 1 - sum(supplied) / len(pairs),
        "sql_mistakes_found": 1 - sum(map(bool, with_instances)) / len(pairs),
        "sql_equivalents": len(statements),
        "sql_equivalents_told_apart": _told_apart(spec, statements),
    }


def _statements(data: Path) -> dict[str, str]:
    """By canonical spelling, as their author wrote them; without those outside the contract's language."""
    found = {}
    for line in (data / "geography" / "holdout.jsonl").read_text("utf-8").splitlines():
        written = json.loads(line)["output"]
        try:
            found[canonicalise(geography(data), written)] = written
        except DomainError:
            continue
    return found


def _told_apart(spec: ContractSpec, statements: dict[str, str]) -> int:
    alike = executes_alike(spec, "", list(statements), list(statements.values()))
    return alike.count(False)


def _inserts(data: Path) -> str:
    with sqlite3.connect(data / "geography" / "database.sqlite") as database:
        return "\n".join(line for line in database.iterdump() if line.startswith("INSERT"))


def _is_alike_on_supplied(data: Path, golden: str, wrong: str) -> bool:
    """By SQLite itself."""
    with sqlite3.connect(data / "geography" / "database.sqlite") as database:
        try:
            found = [database.execute(statement).fetchall() for statement in (golden, wrong)]
        except sqlite3.Error:
            return False
    return found[0] == found[1] if "ORDER BY" in golden else sorted(map(repr, found[0])) == sorted(map(repr, found[1]))
