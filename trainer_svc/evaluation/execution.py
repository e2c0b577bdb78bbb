"""Execution match: two statements are equal when they give the same result on every database that is tried."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Sequence

from shared.contracts.spec import ContractSpec
from shared.errors import InvalidInput
from trainer_svc.evaluation.database import Rows, open_database, result
from trainer_svc.evaluation.instances import InstanceMaker
from trainer_svc.evaluation.statement import is_ordered

_MAX_QUERY_CALLBACKS = 5_000
"""Of one statement: about 1.5 s (SQLite takes 33 million virtual-machine steps a second on a 2024 server core)."""
_MAX_INSTANCE_CALLBACKS = 500
"""On a generated database: they are small."""


def executes_alike(
    spec: ContractSpec, database_sql: str, golden: Sequence[str], generated: Sequence[str]
) -> list[bool | None]:
    """For each pair whether both results are equal on the supplied database, if any, and on each generated instance.

    Results are compared as multisets, in order where the golden statement orders. A statement that fails or takes too
    long never matches; an instance on which the golden one does tells nothing. All None for another dialect than
    SQLite's, and for a DDL that SQLite cannot build without a database that needs it.

    Raises:
        InvalidInput: as `open_database`, where `database_sql` is given.
    """
    nothing: list[bool | None] = [None] * len(golden)
    if spec.dialect != "sqlite":
        return nothing
    try:
        maker = InstanceMaker(spec.ddl)
    except InvalidInput:
        if database_sql:
            raise
        return nothing
    with contextlib.ExitStack() as stack:
        supplied = stack.enter_context(open_database(spec.ddl, database_sql)) if database_sql else None
        return [
            gold == text or (_is_same(supplied, gold, text) and is_same_on_instances(maker, gold, text))
            for gold, text in zip(golden, generated, strict=True)
        ]


def is_same_on_instances(maker: InstanceMaker, golden: str, generated: str) -> bool:
    """Whether two statements give the same result on every instance made for them that the golden one runs on."""
    ordered, compared = is_ordered(golden, "sqlite"), 0
    for database in maker.databases(golden, generated):
        wanted = result(database, golden, _MAX_INSTANCE_CALLBACKS)
        if wanted is None:
            continue
        compared += 1
        got = result(database, generated, _MAX_INSTANCE_CALLBACKS)
        if got is None or not _are_equal(wanted, got, ordered=ordered):
            return False
    return compared > 0


def _is_same(database: sqlite3.Connection | None, golden: str, generated: str) -> bool:
    if database is None:
        return True
    wanted, got = (result(database, statement, _MAX_QUERY_CALLBACKS) for statement in (golden, generated))
    if wanted is None or got is None:
        return False
    return _are_equal(wanted, got, ordered=is_ordered(golden, "sqlite"))


def _are_equal(wanted: Rows, got: Rows, *, ordered: bool) -> bool:
    return wanted == got if ordered else Counter(wanted) == Counter(got)
