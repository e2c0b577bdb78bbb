"""Chooses how much SQL the automaton of a schema can hold, and says what had to be left out."""

from __future__ import annotations

import abc
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from shared.contracts.grammar.grammar import Grammar
from shared.contracts.report import KeywordFate, KeywordVerdict
from shared.contracts.spec import ContractSpec, SqlProfile
from shared.contracts.sql.copies import with_copies
from shared.contracts.sql.declared import schema_of
from shared.contracts.sql.edge import TableSet, table_sets
from shared.contracts.sql.language import Profile, statement
from shared.contracts.sql.nested import MAX_DEPTH, nested_grammar
from shared.contracts.sql.part import Part, python_regex
from shared.contracts.sql.refusal import unsupported
from shared.contracts.sql.rules import Membership
from shared.contracts.sql.schema import SqlSchema
from shared.contracts.sql.strict import strict_grammar
from shared.errors import FieldViolation, InvalidInput
from shared.lazy import cached_property

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


NESTED_PROFILES = ((3, True), (2, True), (3, False), (2, False), (1, False))
"""Tables in one FROM, and whether one of them may be a copy: richest first."""
_WITHOUT_COPIES = tuple(profile for profile in NESTED_PROFILES if not profile[1])
_MAX_COPIED_KEYS = 1_000
"""Joins of a schema whose tables are copied: far more sets than any grammar holds come from more."""
_MAX_NESTED_SETS = 110
"""Scopes of a grammar, single tables included: about 1,000 states of the engine each, 100,000 compile in 4 s."""
_MAX_NESTED_TREES = 24
_MAX_NESTED_UNITS = 8_000
"""Columns of all sets together, each of which is a lexical unit of several rules."""


@dataclass(frozen=True)
class SqlLanguage(abc.ABC):
    """The canonical SELECT statements of one schema."""

    schema: SqlSchema
    profile: Profile
    sets: tuple[TableSet, ...]

    @cached_property
    def by_names(self) -> dict[frozenset[str], TableSet]:
        """Allowed sets of tables by their names."""
        return {tables.names: tables for tables in self.sets}

    @property
    def is_nested(self) -> bool:
        """Whether a SELECT may stand wherever a value, a set or a table may."""
        return isinstance(self, NestedLanguage)

    @property
    @abc.abstractmethod
    def grammar(self) -> Grammar:
        """The language as the engines take it."""

    @abc.abstractmethod
    def contains(self, text: str) -> bool:
        """Whether the text is one of its statements."""

    def verdicts(self) -> tuple[KeywordVerdict, ...]:
        """What the language enforces, and what was left out to keep it small."""
        tables = [table for table in self.schema.tables if not table.copy_of]
        notes = [(f"table/{table.name}", f"{len(table.columns)} columns") for table in tables]
        notes += [*self._value_notes(), *self._join_notes(), ("subquery", self._subquery_note())]
        verdicts = [KeywordVerdict(pointer, KeywordFate.ENFORCED, note) for pointer, note in notes]
        if self.schema.is_strict:
            note = f"answers are checked with sqlglot's {self.schema.dialect} parser only, not with the database itself"
            verdicts.append(KeywordVerdict("dialect", KeywordFate.ANNOTATION, note))
        return tuple(verdicts)

    def _value_notes(self) -> list[tuple[str, str]]:
        tables = [table for table in self.schema.tables if not table.copy_of]
        listed = [(table, column) for table in tables for column in table.columns if column.values]
        return [(f"table/{table.name}/{column.name}", f"{len(column.values)} values") for table, column in listed]

    @abc.abstractmethod
    def _join_notes(self) -> list[tuple[str, str]]: ...

    @abc.abstractmethod
    def _subquery_note(self) -> str: ...

    def _edge_notes(self) -> list[str]:
        inferred = [key for key in self.schema.foreign_keys if key.is_inferred]
        if not self.schema.foreign_keys:
            return ["no foreign key declared and no common column names: no joins"]
        return [f"no foreign key declared: {len(inferred)} joins inferred from column names"] if inferred else []


@dataclass(frozen=True)
class FlatLanguage(SqlLanguage):
    """A language that a token automaton holds."""

    expression: Part

    @cached_property
    def grammar(self) -> Grammar:
        """One regular expression."""
        return Grammar.of(self.expression.expression)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The language for `fullmatch`; about a second for the largest."""
        return re.compile(python_regex(self.expression.expression))

    def contains(self, text: str) -> bool:
        """Whether the text is one of its statements."""
        return self.pattern.fullmatch(text) is not None

    def _join_notes(self) -> list[tuple[str, str]]:
        if len(self.schema.tables) == 1:
            return []
        most = self.profile.max_tables
        notes = [f"at most {most} tables in one FROM" if most > 1 else "one table in FROM"]
        if most < PROFILES[0].max_tables:
            notes.append("joins of more left out: the automaton would be too large")
        return [("join", "; ".join([*notes, *self._edge_notes()]))]

    def _subquery_note(self) -> str:
        if not self.profile.max_depth:
            return "left out: the automaton would be too large"
        deep = f"up to {self.profile.max_depth} levels as the last predicate of a condition"
        free = "one level anywhere in the condition of a single table"
        return f"{deep}; {free}" if self.profile.free_subqueries else f"{deep}; elsewhere left out: too large"


@dataclass(frozen=True)
class NestedLanguage(SqlLanguage):
    """A context-free language; its schema holds the copies that self-joins take."""

    @cached_property
    def grammar(self) -> Grammar:
        """Rules by tables in FROM and by depth."""
        if self.schema.is_strict:
            return strict_grammar(self.sets, self.schema.dialect)
        return nested_grammar(self.sets)

    @cached_property
    def _membership(self) -> Membership:
        return Membership(self.grammar)

    def contains(self, text: str) -> bool:
        """Whether the text is one of its statements."""
        return self._membership.contains(text)

    def _join_notes(self) -> list[tuple[str, str]]:
        tables = [table for table in self.schema.tables if not table.copy_of]
        if len(tables) == 1 == len(self.schema.tables):
            return []
        most = self.profile.max_tables
        notes = [f"at most {most} tables in one FROM" if most > 1 else "one table in FROM"]
        if most < NESTED_PROFILES[0][0]:
            notes.append("joins of more left out: the grammar would be too large")
        copied = any(table.copy_of for table in self.schema.tables)
        notes.append("a table with itself once" if copied else "no table with itself")
        return [("join", "; ".join([*notes, *self._edge_notes()]))]

    def _subquery_note(self) -> str:
        return f"up to {self.profile.max_depth} levels, wherever a value, a set or a table may stand; not correlated"


@lru_cache(maxsize=32)
def language_of(spec: ContractSpec) -> FlatLanguage | NestedLanguage:
    """The richest language of this spec's profile that is small enough; the same spec always gets the same one.

    Raises what `schema_of` raises, and `InvalidInput` (`CONTRACT_TOO_LARGE`) when not even single tables without
    subqueries fit.
    """
    schema = schema_of(spec)
    if spec.profile is SqlProfile.NESTED:
        return _nested(schema)
    if schema.is_strict:
        text = f"The flat profile is SQLite's; {schema.dialect} groups and compares too strictly for an automaton."
        raise unsupported(FieldViolation("profile", text), hint="Choose the nested profile.")
    return _flat(schema)


def _nested(schema: SqlSchema) -> NestedLanguage:
    few_keys = len(schema.foreign_keys) <= _MAX_COPIED_KEYS
    for max_tables, is_copied in NESTED_PROFILES if few_keys else _WITHOUT_COPIES:
        extended = with_copies(schema) if is_copied else schema
        limit = max(0, _MAX_NESTED_SETS - len(schema.tables))
        sets = table_sets(extended, max_tables, limit=limit, max_trees=_MAX_NESTED_TREES)
        if sets is None or sum(len(table.columns) for group in sets for table in group.tables) > _MAX_NESTED_UNITS:
            continue
        profile = Profile(max_tables, free_subqueries=True, max_depth=MAX_DEPTH)
        return NestedLanguage(extended, profile, tuple(sets))
    raise AssertionError("a schema's columns are limited to fewer than the units of a grammar")


def _flat(schema: SqlSchema) -> FlatLanguage:
    smallest = 0
    for profile, sets in _candidates(schema):
        expression = statement(schema, sets, profile)
        if expression.states <= MAX_STATES:
            return FlatLanguage(schema, profile, tuple(sets), expression)
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
