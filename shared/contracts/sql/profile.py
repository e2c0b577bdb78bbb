"""Chooses how much SQL the automaton of a schema can hold, and says what had to be left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from shared.contracts.report import KeywordFate, KeywordVerdict
from shared.contracts.spec import ContractSpec
from shared.contracts.sql.declared import schema_of
from shared.contracts.sql.edge import TableSet, table_sets
from shared.contracts.sql.language import Profile, statement
from shared.contracts.sql.part import Part, python_regex
from shared.contracts.sql.schema import SqlSchema
from shared.errors import FieldViolation, InvalidInput

MAX_STATES = 60_000
"""Estimated states that a language may have. The estimate lies 10 to 30 % above the automaton (seven tables with 23
joins: 59,788 estimated, 51,587 built in 2.5 s and 175 MiB over 2,048 tokens), so an index limit of 60,000 holds."""

_MAX_SETS = 250
_MAX_TABLES_WITH_FREE_SUBQUERIES = 12
"""Beyond these the estimate is certain to exceed `MAX_STATES`, and only building it would take long."""

PROFILES = (
    Profile(3, free_subqueries=True, max_depth=3),
    Profile(2, free_subqueries=True, max_depth=3),
    Profile(3, free_subqueries=False, max_depth=3),
    Profile(2, free_subqueries=False, max_depth=3),
    Profile(2, free_subqueries=False, max_depth=1),
    Profile(2, free_subqueries=False, max_depth=0),
    Profile(1, free_subqueries=True, max_depth=3),
    Profile(1, free_subqueries=False, max_depth=3),
    Profile(1, free_subqueries=False, max_depth=1),
    Profile(1, free_subqueries=False, max_depth=0),
)
"""Richest first: joins of two tables are worth more than subqueries, free subqueries more than joins of three."""


@dataclass(frozen=True)
class SqlLanguage:
    """The canonical SELECT statements of one schema."""

    schema: SqlSchema
    profile: Profile
    sets: tuple[TableSet, ...]
    expression: Part

    @cached_property
    def by_names(self) -> dict[frozenset[str], TableSet]:
        """Allowed sets of tables by their names."""
        return {tables.names: tables for tables in self.sets}

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The language for `fullmatch`; about a second for the largest."""
        return re.compile(python_regex(self.expression.expression))

    def verdicts(self) -> tuple[KeywordVerdict, ...]:
        """What the language enforces, and what was left out to keep it small."""
        notes = [(f"table/{table.name}", f"{len(table.columns)} columns") for table in self.schema.tables]
        notes += [*self._join_notes(), ("subquery", self._subquery_note())]
        return tuple(KeywordVerdict(pointer, KeywordFate.ENFORCED, note) for pointer, note in notes)

    def _join_notes(self) -> list[tuple[str, str]]:
        if len(self.schema.tables) == 1:
            return []
        most = self.profile.max_tables
        notes = [f"at most {most} tables in one FROM" if most > 1 else "one table in FROM"]
        if most < PROFILES[0].max_tables:
            notes.append("joins of more left out: the automaton would be too large")
        if not self.schema.foreign_keys:
            notes.append("no foreign key declared and no common column names: no joins")
        elif self.schema.foreign_keys[0].is_inferred:
            notes.append(f"no foreign key declared: {len(self.schema.foreign_keys)} joins inferred from column names")
        return [("join", "; ".join(notes))]

    def _subquery_note(self) -> str:
        if not self.profile.max_depth:
            return "left out: the automaton would be too large"
        deep = f"up to {self.profile.max_depth} levels as the last predicate of a condition"
        free = "one level anywhere in the condition of a single table"
        return f"{deep}; {free}" if self.profile.free_subqueries else f"{deep}; elsewhere left out: too large"


@lru_cache(maxsize=32)
def language_of(spec: ContractSpec) -> SqlLanguage:
    """The richest language of this DDL that fits `MAX_STATES`; the same DDL always gets the same one.

    Raises what `schema_of` raises, and `InvalidInput` (`CONTRACT_TOO_LARGE`) when not even single tables without
    subqueries fit.
    """
    schema = schema_of(spec)
    smallest = 0
    for profile, sets in _candidates(schema):
        expression = statement(schema, sets, profile)
        if expression.states <= MAX_STATES:
            return SqlLanguage(schema, profile, tuple(sets), expression)
        smallest = expression.states
    columns = sum(len(table.columns) for table in schema.tables)
    text = f"{len(schema.tables)} tables with {columns} columns need about {smallest} states; the limit is {MAX_STATES}"
    raise InvalidInput(
        "CONTRACT_TOO_LARGE",
        f"The DDL is too large for one contract: {text}.",
        hint="Declare only the tables and columns that the questions are about.",
        violations=[FieldViolation("ddl", text)],
    )


def _candidates(schema: SqlSchema) -> Iterator[tuple[Profile, list[TableSet]]]:
    for profile in PROFILES:
        if profile.free_subqueries and len(schema.tables) > _MAX_TABLES_WITH_FREE_SUBQUERIES:
            continue
        sets = table_sets(schema, profile.max_tables, limit=_MAX_SETS)
        if sets is not None:
            yield profile, sets
