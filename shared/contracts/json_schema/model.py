"""Everything that a schema generates: each goal with the shapes of its values, as a graph that may be recursive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from referencing.exceptions import Unresolvable

from shared.contracts.grammar.expression import ANYTHING, Expression, Text, alternation
from shared.contracts.json_schema.array import array_shape
from shared.contracts.json_schema.document import Document
from shared.contracts.json_schema.fact import Demand, Goal, Loose, Values
from shared.contracts.json_schema.follower import Follower
from shared.contracts.json_schema.keywords import KINDS
from shared.contracts.json_schema.ledger import Ledger
from shared.contracts.json_schema.loop import endless
from shared.contracts.json_schema.object import ObjectReader
from shared.contracts.json_schema.pruning import culprit, productive, pruned
from shared.contracts.json_schema.scalar import Patterns, number_shapes, string_shape
from shared.contracts.json_schema.shape import (
    ArrayShape,
    LiteralShape,
    MemberShape,
    ObjectShape,
    ScalarShape,
    Shape,
    children,
    needs,
)
from shared.contracts.json_schema.tableau import Branch, Tableau
from shared.contracts.json_schema.validity import SchemaValidator
from shared.contracts.json_schema.value import canonical_json, kind_of
from shared.contracts.limit import OutOfTime
from shared.errors import FieldViolation, InvalidInput

MAX_GOALS = 10_000
_MAX_PROOF_GOALS = 200
_MAX_PROOF_DEPTH = 4


@dataclass(frozen=True)
class Model:
    """The goals that can be reached from `root`, without what has no values."""

    root: Goal
    shapes: dict[Goal, tuple[Shape, ...]]


class ModelBuilder:
    """Builds the model of one document; `ledger` collects the faults that are found on the way."""

    def __init__(self, document: Document, validator: SchemaValidator, ledger: Ledger, *, is_narrowed: bool) -> None:
        self._document, self._validator, self._ledger = document, validator, ledger
        self._follower = Follower(document, ledger)
        self._patterns = Patterns(ledger)
        self._tableaux = {
            kind: Tableau(document, kind, self._follower.target, partial(self._are_disjoint, kind))
            for kind in KINDS
            if kind not in ("boolean", "null")
        }
        self._objects = ObjectReader(self._patterns, self._names, is_narrowed)
        self._shapes: dict[tuple[Goal, str], tuple[Shape, ...]] = {}
        self._disjoint: dict[tuple[str, Goal], bool] = {}
        self._proofs = 0

    @property
    def reached(self) -> set[str]:
        """Places that the model was read from."""
        return self._follower.reached

    def build(self) -> Model:
        """The model of the whole document; raises `InvalidInput` (`CONTRACT_TOO_LARGE`)."""
        loop = endless(self._document, self._follower)
        if loop is not None:
            self._ledger.refuse(loop, "It leads back to itself without going into a value: validators never return.")
            return Model(frozenset(), {})
        root = self._follower.goal(frozenset({Demand("")}))
        graph: dict[Goal, tuple[Shape, ...]] = {}
        stack = [root]
        while stack:
            goal = stack.pop()
            if goal in graph:
                continue
            if len(graph) >= MAX_GOALS:
                raise _too_large(goal)
            try:
                graph[goal] = self._goal_shapes(goal)
            except OutOfTime as err:
                raise OutOfTime(_place(goal)) from err
            stack.extend(below for shape in graph[goal] for below in children(shape))
        alive = pruned(graph)
        if root not in alive:
            self._blame(culprit(root, graph, alive))
        reached: dict[Goal, tuple[Shape, ...]] = {}
        stack = [root]
        while stack:
            goal = stack.pop()
            if goal not in reached:
                reached[goal] = alive.get(goal, ())
                stack.extend(below for shape in reached[goal] for below in children(shape))
        return Model(root, reached)

    def _blame(self, goal: Goal) -> None:
        """No value at all: a fault, unless another fault explains it."""
        if not self._ledger.faults:
            place = _place(goal)
            what = "No value satisfies this part in a form that can be generated: its keywords contradict each other."
            self._ledger.refuse(place, what)

    def _goal_shapes(self, goal: Goal) -> tuple[Shape, ...]:
        found = [shape for kind in KINDS for shape in self._of_kind(goal, kind)]
        # One spelling for one value: 1e16 and 10000000000000000 are equal, and must not pass for two different items.
        texts = {_identity(shape): shape for shape in reversed(found) if isinstance(shape, LiteralShape)}
        return (*reversed(texts.values()), *(shape for shape in found if not isinstance(shape, LiteralShape)))

    def _of_kind(self, goal: Goal, kind: str) -> tuple[Shape, ...]:
        key = (goal, kind)
        if key not in self._shapes:
            self._shapes[key] = tuple(self._expanded(goal, kind))
        return self._shapes[key]

    def _expanded(self, goal: Goal, kind: str) -> Iterator[Shape]:
        if kind == "null":
            yield from self._literals(goal, [None])
            return
        if kind == "boolean":
            yield from self._literals(goal, [True, False])
            return
        for branch in self._tableaux[kind].branches(goal):
            if branch.is_listed:
                lists = [fact.values for fact in branch.facts if isinstance(fact, Values) and fact.holds]
                values = [value for value in min(lists, key=len) if kind_of(value) == kind]
                yield from self._literals(goal, values, is_listed=True)
            else:
                yield from self._branch_shapes(branch, kind)

    def _branch_shapes(self, branch: Branch, kind: str) -> Iterator[Shape]:
        shape: Shape | None
        match kind:
            case "number":
                yield from number_shapes(branch.facts)
                return
            case "string":
                shape = string_shape(branch.facts, self._patterns)
            case "array":
                shape = array_shape(self._with_loose_values(branch))
                shape = None if shape is None else self._normal_array(shape)
            case _:
                shape = self._objects.shape(self._with_loose_values(branch))
                shape = None if shape is None else self._normal_object(shape)
        if shape is not None:
            yield shape

    def _with_loose_values(self, branch: Branch) -> list[Any]:  # Any: facts
        """Lists and objects that are excluded by value are left to the check."""
        excluded = [fact for fact in branch.facts if isinstance(fact, Values) and not fact.holds]
        compound = [fact for fact in excluded if any(isinstance(value, list | dict) for value in fact.values)]
        return [*branch.facts, *(Loose(fact.place, "excluded arrays and objects are checked") for fact in compound)]

    def _normal_array(self, shape: ArrayShape) -> ArrayShape:
        goal = self._follower.goal
        contains = None if shape.contains is None else goal(shape.contains)
        prefix = tuple(goal(one) for one in shape.prefix)
        rest = None if shape.rest is None else goal(shape.rest)
        return replace(shape, prefix=prefix, rest=rest, contains=contains)

    def _normal_object(self, shape: ObjectShape) -> ObjectShape:
        members = tuple(MemberShape(m.name, self._follower.goal(m.goal), m.required) for m in shape.members)
        extras = tuple(replace(extra, goal=self._follower.goal(extra.goal)) for extra in shape.extras)
        return replace(shape, members=members, extras=extras)

    def _literals(
        self, goal: Goal, values: Sequence[Any], *, is_listed: bool = False
    ) -> Iterator[LiteralShape]:  # Any: JSON values
        """Those of the values that meet the goal; `is_listed`: one of its own lists holds them."""
        place = _place(goal)
        tested = () if is_listed and self._is_list_alone(goal) else goal
        for value in values:
            try:
                if all(self._validator.meets(value, demand.place) == demand.holds for demand in tested):
                    yield LiteralShape(value, canonical_json(value))
            except Unresolvable as err:
                if not self._ledger.faults:  # the reference itself may be known already
                    self._ledger.refuse(place, f"A reference in it cannot be followed: {err}.")
            except (ValueError, RecursionError) as err:
                self._ledger.refuse(place, f"A value that it lists cannot be written as JSON text: {err}.")

    def _is_list_alone(self, goal: Goal) -> bool:
        """Whether the goal is one list of values: each of ten thousand need not be validated against itself."""
        if len(goal) != 1:
            return False
        (demand,) = goal
        schema = self._document.schema(demand.place)
        if not demand.holds or not isinstance(schema, dict):
            return False
        spoken = schema.keys() & self._document.dialect.keywords
        return spoken in ({"enum"}, {"const"}) or (spoken == {"enum", "type"} and schema["type"] == "string")

    def _names(self, goal: Goal) -> tuple[Expression, tuple[Loose, ...]]:
        """The language of strings that meet a goal: `propertyNames`."""
        if not goal:
            return ANYTHING, ()
        shapes = self._of_kind(self._follower.goal(goal), "string")
        scalars = [shape for shape in shapes if isinstance(shape, ScalarShape)]
        texts = [Text(shape.value) for shape in shapes if isinstance(shape, LiteralShape)]
        loose = [loose for shape in scalars for loose in shape.loose]
        return alternation([*texts, *(shape.language for shape in scalars)]), tuple(loose)

    def _are_disjoint(self, kind: str, one: Demand, other: Demand) -> bool:
        """Whether nothing is generated for both demands: a proof of bounded size, or False."""
        goal = self._follower.goal(frozenset({one, other}))
        key = (kind, goal)
        if key not in self._disjoint:
            self._disjoint[key] = False  # while it is being proved
            if self._proofs < _MAX_PROOF_DEPTH:
                with self._proving():
                    self._disjoint[key] = self._is_empty(goal, kind)
        return self._disjoint[key]

    @contextmanager
    def _proving(self) -> Iterator[None]:
        self._proofs += 1
        try:
            yield
        finally:
            self._proofs -= 1

    def _is_empty(self, goal: Goal, kind: str) -> bool:
        first = self._of_kind(goal, kind)
        graph: dict[Goal, tuple[Shape, ...]] = {}
        stack = [below for shape in first for below in needs(shape)]
        while stack:
            below = stack.pop()
            if below in graph:
                continue
            if len(graph) >= _MAX_PROOF_GOALS:
                return False
            graph[below] = self._goal_shapes(below)
            stack.extend(deeper for shape in graph[below] for deeper in needs(shape))
        alive = productive(graph)
        return not any(all(below in alive for below in needs(shape)) for shape in first)


def largest_part(model: Model) -> str:
    """JSON Pointer of the smallest part that more than half of the model's shapes are for."""
    weights: Counter[str] = Counter()
    for goal, shapes in model.shapes.items():
        steps = _place(goal).split("/")
        weights.update({"/".join(steps[:size]): len(shapes) for size in range(1, len(steps) + 1)})
    return max((place for place, weight in weights.items() if 2 * weight > weights[""]), key=len, default="")


def _place(goal: Goal) -> str:
    return min((demand.place for demand in goal), default="")


def _identity(shape: LiteralShape) -> tuple[str, Any]:  # Any: a number, which Python compares by value, or a text
    kind = kind_of(shape.value)
    return kind, shape.value if kind == "number" else shape.text


def _too_large(goal: Goal) -> InvalidInput:
    place = _place(goal)
    what = f"The schema stands for more than {MAX_GOALS} combinations of its parts."
    return InvalidInput(
        "CONTRACT_TOO_LARGE", what, hint="Simplify what combines anyOf, oneOf, not and if.",
        violations=[FieldViolation(f"json_schema#{place}", what)], metadata={"limit": str(MAX_GOALS)},
    )  # fmt: skip
