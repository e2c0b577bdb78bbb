"""Facts about objects, met in one shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from shared.contracts.grammar.acceptor import acceptor
from shared.contracts.grammar.expression import ANYTHING, NOTHING, Expression
from shared.contracts.grammar.language import finite_texts, intersect
from shared.contracts.grammar.machine import Machine, TooComplex
from shared.contracts.json_schema.array import remaining
from shared.contracts.json_schema.fact import (
    Demand,
    Fact,
    Goal,
    Length,
    Loose,
    Member,
    Names,
    Presence,
    Scope,
    Unevaluated,
)
from shared.contracts.json_schema.scalar import Patterns, bounds
from shared.contracts.json_schema.shape import ExtraShape, MemberShape, ObjectShape

_MAX_CLASSES = 64
_MAX_LISTED = 64
"""A finite set of names is written as so many members that may be there."""


@dataclass(frozen=True)
class ObjectReader:
    """Puts the facts of branches together; `names` gives the language of names that meet a goal, and what is loose."""

    patterns: Patterns
    names: Callable[[Goal], tuple[Expression, tuple[Loose, ...]]]
    is_narrowed: bool

    def shape(self, facts: Iterable[Fact]) -> ObjectShape | None:
        """The objects of a branch; None when there are none."""
        facts = list(facts)
        loose = [fact for fact in facts if isinstance(fact, Loose)]
        scopes = [fact for fact in facts if isinstance(fact, Scope)]
        for fact in remaining(facts):
            scopes += _unevaluated(fact, scopes)
        lengths = [fact for fact in facts if isinstance(fact, Length)]
        least, most = bounds(lengths)
        presences = [fact for fact in facts if isinstance(fact, Presence)]
        absent = {fact.name for fact in presences if not fact.holds}
        names, more = self.names(frozenset(fact.demand for fact in facts if isinstance(fact, Names)))
        loose += more
        scoped = _Scopes(scopes, [fact for fact in facts if isinstance(fact, Member)], self.patterns)
        required = dict.fromkeys(fact.name for fact in presences if fact.holds)
        if not required.keys().isdisjoint(absent) or (most is not None and most < max(least, len(required))):
            return None
        extras, listed = self._extras(scoped, names, loose)
        named = dict.fromkeys([*scoped.names, *required, *listed])
        speller = acceptor(names) if names != ANYTHING else None
        absent |= {name for name in named if speller is not None and not speller.accepts(name)}
        if not required.keys().isdisjoint(absent):
            return None
        members = tuple(MemberShape(n, scoped.goal(n), n in required) for n in named if n not in absent)
        sizes = tuple(Loose(length.place, "more combinations of members than can be counted") for length in lengths)
        return ObjectShape(members, frozenset(absent), tuple(extras), least, most, sizes, tuple(loose))

    def _extras(
        self, scoped: _Scopes, names: Expression, loose: list[Loose]
    ) -> tuple[list[ExtraShape], tuple[str, ...]]:
        """Names that are not declared, by which patterns they match; finite sets of them, listed."""
        extras: list[ExtraShape] = []
        listed: list[str] = []
        narrowed = self.is_narrowed and scoped.is_declaring
        for goal, wanted, unwanted in scoped.classes(loose):
            if narrowed and not wanted and scoped.is_silent:
                continue
            language = _language([names, *wanted], unwanted, scoped.pattern_place, loose)
            if language == NOTHING:
                continue
            texts = finite_texts(language, _MAX_LISTED)
            if texts is None:
                extras.append(ExtraShape(language, goal))
            else:
                listed += texts
        return extras, tuple(listed)


def _language(
    wanted: Sequence[Expression], unwanted: Sequence[Expression], place: str, loose: list[Loose]
) -> Expression:
    try:
        return intersect(wanted, without=unwanted)
    except TooComplex as err:
        loose.append(Loose(place, f"names that match several patterns are checked: {err}"))
    try:
        return intersect(wanted)
    except TooComplex:
        return wanted[-1]


class _Scopes:
    """What all schemas around an object say about its members, by name."""

    def __init__(self, scopes: Sequence[Scope], members: Sequence[Member], patterns: Patterns) -> None:
        self._scopes, self._members = scopes, members
        sources = {source: scope.place for scope in scopes for source, _ in scope.patterns}
        self._languages = {
            source: patterns.language(f"{place}/patternProperties", source) for source, place in sources.items()
        }
        self._wide = {
            source: patterns.language(f"{place}/patternProperties", source, wide=True)
            for source, place in sources.items()
        }
        """What is not of a pattern for any reader is outside of these."""
        self.names = tuple(
            dict.fromkeys([name for s in scopes for name, _ in s.properties] + [m.name for m in members])
        )
        self.pattern_place = next((f"{place}/patternProperties" for place in sources.values()), "")
        self._machines = {source: Machine.of(language) for source, language in self._languages.items()}
        self.is_declaring = any(scope.properties for scope in scopes)
        self.is_silent = any(scope.extra is None for scope in scopes)

    def goal(self, name: str) -> Goal:
        """What the member of this name must meet."""
        matched = frozenset(source for source, machine in self._machines.items() if machine.accepts(name))
        own = {member.demand for member in self._members if member.name == name}
        return self._goal(name, matched) | own

    def _goal(self, name: str | None, matched: frozenset[str]) -> Goal:
        found: set[Demand] = set()
        for scope in self._scopes:
            declared = [demand for other, demand in scope.properties if other == name]
            declared += [demand for source, demand in scope.patterns if source in matched]
            found.update(demand for demand in declared or [scope.extra] if demand is not None)
        return frozenset(found)

    def classes(self, loose: list[Loose]) -> list[tuple[Goal, list[Expression], list[Expression]]]:
        """Undeclared names by the patterns that they match: goal, languages they are in, languages they are not in."""
        found: list[tuple[frozenset[str], list[Expression], list[Expression]]] = [(frozenset(), [], [])]
        for source, language in self._languages.items():
            if 2 * len(found) > _MAX_CLASSES:
                loose.append(Loose(self.pattern_place, f"more than {_MAX_CLASSES} combinations of patterns"))
                # Each pattern by itself, as if names never matched two of them.
                found = [(frozenset({s}), [own], []) for s, own in self._languages.items()] + [(frozenset(), [], [])]
                break
            found = [
                part
                for matched, wanted, unwanted in found
                for part in (
                    ((matched | {source}), [*wanted, language], unwanted),
                    (matched, wanted, [*unwanted, self._wide[source]]),
                )
            ]
        return [(self._goal(None, matched), wanted, unwanted) for matched, wanted, unwanted in found]


def _unevaluated(fact: Unevaluated, scopes: Sequence[Scope]) -> list[Scope]:
    """`unevaluatedProperties` as a schema that declares, without a demand, all names that were evaluated."""
    seen = [scope for scope in scopes if fact.owner in scope.under]
    if any(scope.extra is not None for scope in seen):
        return []
    names = {name: None for scope in seen for name, _ in scope.properties}
    patterns = {source: None for scope in seen for source, _ in scope.patterns}
    return [Scope(fact.place, tuple(names.items()), tuple(patterns.items()), fact.demand, frozenset())]
