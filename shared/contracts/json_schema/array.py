"""Facts about arrays, met in one shape."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.contracts.json_schema.fact import Contains, Demand, Fact, Goal, Items, Length, Loose, Unevaluated, Unique
from shared.contracts.json_schema.scalar import bounds
from shared.contracts.json_schema.shape import ArrayShape

_MAX_PREFIX = 256


def array_shape(facts: Iterable[Fact]) -> ArrayShape | None:
    """The arrays of a branch; None when there are none."""
    facts = list(facts)
    loose = [fact for fact in facts if isinstance(fact, Loose)]
    places = [fact for fact in facts if isinstance(fact, Items)]
    lengths = [fact for fact in facts if isinstance(fact, Length)]
    wanted = []
    for fact in facts:
        match fact:
            case Contains(most=0):
                places.append(Items(fact.place, (), Demand(fact.demand.place, holds=False), fact.under))
            case Contains(least=0, most=None):
                pass
            case Contains():
                wanted.append(fact)
                lengths.append(Length(fact.place, fact.least))
            case Unique(holds=False):
                lengths.append(Length(fact.place, 2))
                loose.append(Loose(fact.place, "its negation is not generated"))
    contained = _contained(wanted, places, loose)
    searched = [fact for fact in facts if isinstance(fact, Contains)]
    for fact in remaining(facts):
        places += _unevaluated(fact, places, searched, loose)
    least, most = bounds(lengths)
    width = max((len(items.prefix) for items in places), default=0)
    if most is not None and most < least:
        return None
    if width > _MAX_PREFIX:
        loose += [Loose(items.place, f"only the first {_MAX_PREFIX} places are held") for items in places]
        width = _MAX_PREFIX
    rest = _goal_at(places, None)
    if contained is not None:
        contained |= rest
    return ArrayShape(
        prefix=tuple(_goal_at(places, index) for index in range(width)),
        rest=rest,
        least=least,
        most=most,
        contains=None if contained == rest else contained,
        unique=next((fact.place for fact in facts if isinstance(fact, Unique) and fact.holds), ""),
        sizes=tuple(Loose(length.place, "too many places to count items in") for length in lengths),
        loose=tuple(loose),
    )


def remaining(facts: Sequence[Fact]) -> list[Unevaluated]:
    """The facts about what is not evaluated, without those to which another one leaves nothing."""
    found = [fact for fact in facts if isinstance(fact, Unevaluated)]
    return [fact for fact in found if not any(fact.owner in o.under for o in found if o.owner != fact.owner)]


def _goal_at(places: Sequence[Items], index: int | None) -> Goal:
    found = set()
    for items in places:
        is_prefix = index is not None and index < len(items.prefix)
        demand = items.prefix[index or 0] if is_prefix else items.rest
        if demand is not None:
            found.add(demand)
    return frozenset(found)


def _contained(wanted: Sequence[Contains], places: Sequence[Items], loose: list[Loose]) -> Goal | None:
    """What one of the items must meet; everything else that `contains` asks for is checked."""
    is_simple = all(not items.prefix for items in places)
    held = 1 if is_simple else 0
    loose += [Loose(fact.place, "only one contains, without prefixItems, is held") for fact in wanted[held:]]
    if not wanted or not is_simple:
        return None
    first = wanted[0]
    if first.least > 1 or first.most is not None:
        loose.append(Loose(first.place, "one such item is held, their number is checked"))
    return frozenset({first.demand}) if first.least else None


def _unevaluated(
    fact: Unevaluated, places: Sequence[Items], searched: Sequence[Contains], loose: list[Loose]
) -> list[Items]:
    seen = [items for items in places if fact.owner in items.under]
    if any(items.rest is not None for items in seen):
        return []
    if any(fact.owner in contains.under for contains in searched):
        loose.append(Loose(fact.place, "items that contains speaks about are checked"))
        return []
    width = max((len(items.prefix) for items in seen), default=0)
    return [Items(fact.place, (None,) * width, fact.demand, frozenset())]
