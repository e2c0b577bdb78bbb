"""Takes out of a model what no finite value meets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from shared.contracts.grammar.language import finite_texts
from shared.contracts.json_schema.fact import Goal
from shared.contracts.json_schema.shape import ArrayShape, LiteralShape, ObjectShape, ScalarShape, Shape, needs
from shared.contracts.json_schema.value import kind_of

_MAX_COUNTED = 1_000

Graph = Mapping[Goal, tuple[Shape, ...]]


def productive(graph: Graph) -> set[Goal]:
    """Goals that some finite value meets: the least fixed point."""
    alive: set[Goal] = set()
    while True:
        found = {
            goal
            for goal, shapes in graph.items()
            if goal not in alive and any(all(below in alive for below in needs(shape)) for shape in shapes)
        }
        if not found:
            return alive
        alive |= found


def pruned(graph: Graph) -> dict[Goal, tuple[Shape, ...]]:
    """The goals that have values, with shapes that have values and ask for nothing that has none."""
    alive = productive(graph)
    while True:
        shapes = {goal: _alive_shapes(graph, graph[goal], alive) for goal in alive}
        lost = {goal for goal, found in shapes.items() if not found}
        if not lost:
            return shapes
        alive -= lost


def culprit(root: Goal, graph: Graph, alive: Mapping[Goal, object]) -> Goal:
    """The part that is to blame when the root has no values: the deepest that everything above it needs."""
    seen = {root}
    while len(graph[root]) == 1:
        dead = [goal for goal in needs(graph[root][0]) if goal not in alive and goal not in seen]
        if not dead:
            break
        root = dead[0]
        seen.add(root)
    return root


def _alive_shapes(graph: Graph, shapes: Iterable[Shape], alive: set[Goal]) -> tuple[Shape, ...]:
    found = []
    for shape in shapes:
        if not all(below in alive for below in needs(shape)):
            continue
        kept: Shape | None = shape
        match shape:
            case ArrayShape():
                kept = _alive_array(shape, alive)
                kept = None if kept is None else _distinct_array(kept, graph)
            case ObjectShape():
                kept = _alive_object(shape, alive)
        if kept is not None:
            found.append(kept)
    return tuple(found)


def _alive_array(shape: ArrayShape, alive: set[Goal]) -> ArrayShape | None:
    places = [*shape.prefix, shape.rest]
    first_dead = next((index for index, goal in enumerate(places) if goal is None or goal not in alive), None)
    if first_dead is None:
        return shape
    most = first_dead if shape.most is None else min(shape.most, first_dead)
    if most < shape.least:
        return None
    return replace(shape, prefix=shape.prefix[:first_dead], rest=None, most=most)


def _distinct_array(shape: ArrayShape, graph: Graph) -> ArrayShape | None:
    """No more items than there are values, where no two may be equal."""
    if not shape.unique or shape.prefix or shape.rest is None:
        return shape
    values: set[tuple[str, str]] = set()
    for item in graph[shape.rest]:
        if isinstance(item, LiteralShape):
            values.add((kind_of(item.value), item.value if isinstance(item.value, str) else item.text))
            continue
        texts = finite_texts(item.language, _MAX_COUNTED) if isinstance(item, ScalarShape) else None
        if texts is None or not isinstance(item, ScalarShape):
            return shape
        values.update((item.kind, text) for text in texts)
    count = len(values)
    most = count if shape.most is None else min(shape.most, count)
    return replace(shape, most=most) if shape.least <= most else None


def _alive_object(shape: ObjectShape, alive: set[Goal]) -> ObjectShape | None:
    members = tuple(member for member in shape.members if member.goal in alive)
    gone = frozenset(member.name for member in shape.members) - {member.name for member in members}
    extras = tuple(extra for extra in shape.extras if extra.goal in alive)
    if not extras and len(members) < shape.least:
        return None
    return replace(shape, members=members, absent=shape.absent | gone, extras=extras)
