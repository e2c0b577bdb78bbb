"""The canonical text of a value under a contract, or every reason why it has none."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from shared.contracts.json_schema.fact import Goal
from shared.contracts.json_schema.keywords import escape
from shared.contracts.json_schema.model import Model
from shared.contracts.json_schema.number import number_text
from shared.contracts.json_schema.shape import ArrayShape, ExtraShape, LiteralShape, ObjectShape, ScalarShape, Shape
from shared.contracts.json_schema.value import canonical_json, kind_of, same_value
from shared.errors import FieldViolation

_Value = Any  # Any: a JSON value, numbers as int or Decimal


class Speller:
    """Spells values under one model and says what cannot be spelled."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._done: dict[tuple[Goal, int], tuple[str, list[FieldViolation]]] = {}

    def spell(self, value: _Value) -> tuple[str, list[FieldViolation]]:
        """The canonical text, or the faults why there is none."""
        self._done.clear()
        return self._goal(self._model.root, value, "")

    def _goal(self, goal: Goal, value: _Value, path: str) -> tuple[str, list[FieldViolation]]:
        # One value meets few goals, but it may be asked again in every branch of a choice.
        key = (goal, id(value))
        if key not in self._done:
            self._done[key] = self._choice(goal, value, path)
        return self._done[key]

    def _choice(self, goal: Goal, value: _Value, path: str) -> tuple[str, list[FieldViolation]]:
        shapes = self._model.shapes.get(goal, ())
        fitting = [shape for shape in shapes if _kind(shape) == kind_of(value)]
        if not fitting:
            kinds = sorted({_kind(shape) for shape in shapes})
            return "", [_fault(path, f"must be {' or '.join(kinds)}" if kinds else "must not be there")]
        attempts = []
        for shape in fitting:
            text, faults = self._shape(shape, value, path)
            if not faults:
                return text, []
            attempts.append(faults)
        if len(attempts) > 1 and all(isinstance(shape, LiteralShape) for shape in fitting):
            return "", [_fault(path, f"must be one of {_some(fitting)}")]
        # The deepest complaint comes from the branch that was meant.
        best = max(attempts, key=lambda faults: max(len(fault.path) for fault in faults))
        if len(attempts) > 1 and all(fault.path == f"output#{path}" for fault in best):
            return "", [_fault(path, "fits none of the allowed alternatives")]
        return "", best

    def _shape(self, shape: Shape, value: _Value, path: str) -> tuple[str, list[FieldViolation]]:
        match shape:
            case LiteralShape():
                return (
                    (shape.text, [])
                    if same_value(shape.value, value)
                    else ("", [_fault(path, f"must be {shape.text}")])
                )
            case ScalarShape(kind="string"):
                return self._string(shape, value, path)
            case ScalarShape():
                return self._number(shape, value, path)
            case ArrayShape():
                return self._array(shape, value, path)
        return self._object(shape, value, path)

    def _number(self, shape: ScalarShape, value: _Value, path: str) -> tuple[str, list[FieldViolation]]:
        text = number_text(Decimal(value))
        if text is None:
            what = "has more digits than can be generated: 15 significant, 6 after the point above 1"
            return "", [_fault(path, what)]
        if not shape.acceptor.accepts(text):
            return "", [_fault(path, f"{text} is outside the allowed range")]
        return text, []

    def _string(self, shape: ScalarShape, value: str, path: str) -> tuple[str, list[FieldViolation]]:
        controls = sorted({char for char in value if char < " " and char not in "\b\t\n\f\r"})
        if controls:
            names = ", ".join(f"U+{ord(char):04X}" for char in controls)
            return "", [_fault(path, f"holds control characters that are never generated: {names}")]
        if not shape.acceptor.accepts(value):
            what = f"has {len(value)} characters and does not match the length, pattern or format as it is generated"
            return "", [_fault(path, what)]
        return canonical_json(value), []

    def _array(self, shape: ArrayShape, value: list[_Value], path: str) -> tuple[str, list[FieldViolation]]:
        if len(value) < shape.least or (shape.most is not None and len(value) > shape.most):
            return "", [_fault(path, f"has {len(value)} items, outside the allowed number")]
        texts, faults = [], []
        for index, item in enumerate(value):
            goal = shape.prefix[index] if index < len(shape.prefix) else shape.rest
            place = f"{path}/{index}"
            text, found = ("", [_fault(place, "must not be there")]) if goal is None else self._goal(goal, item, place)
            texts.append(text)
            faults += found
        if shape.unique and len(set(texts)) < len(texts) and not faults:
            faults.append(_fault(path, "holds an item twice"))
        if shape.contains is not None and not faults and all(self._goal(shape.contains, v, path)[1] for v in value):
            faults.append(_fault(path, "holds no item that contains asks for"))
        return "[" + ",".join(texts) + "]", faults

    def _object(self, shape: ObjectShape, value: dict[str, _Value], path: str) -> tuple[str, list[FieldViolation]]:
        texts, faults = [], []
        named = {member.name for member in shape.members}
        for member in shape.members:
            place = f"{path}/{escape(member.name)}"
            if member.name in value:
                text, found = self._goal(member.goal, value[member.name], place)
                texts.append(f"{canonical_json(member.name)}:{text}")
                faults += found
            elif member.required:
                faults.append(_fault(place, "is required"))
        for name, item in value.items():
            if name not in named:
                text, found = self._extra(shape, name, item, f"{path}/{escape(name)}")
                texts.append(text)
                faults += found
        if len(value) < shape.least or (shape.most is not None and len(value) > shape.most):
            faults.append(_fault(path, f"has {len(value)} members, outside the allowed number"))
        return "{" + ",".join(texts) + "}", faults

    def _extra(self, shape: ObjectShape, name: str, value: _Value, path: str) -> tuple[str, list[FieldViolation]]:
        if name in shape.absent:
            return "", [_fault(path, "must not be there")]
        fitting = [extra for extra in shape.extras if extra.acceptor.accepts(name)]
        if not fitting:
            return "", [_fault(path, "is not declared in properties, so it is never generated")]
        attempts = [self._extra_value(extra, name, value, path) for extra in fitting]
        return next((attempt for attempt in attempts if not attempt[1]), attempts[0])

    def _extra_value(self, extra: ExtraShape, name: str, value: _Value, path: str) -> tuple[str, list[FieldViolation]]:
        text, faults = self._goal(extra.goal, value, path)
        return f"{canonical_json(name)}:{text}", faults


def _fault(path: str, what: str) -> FieldViolation:
    return FieldViolation(f"output#{path}", what)


def _kind(shape: Shape) -> str:
    match shape:
        case LiteralShape():
            return kind_of(shape.value)
        case ScalarShape():
            return shape.kind
        case ArrayShape():
            return "array"
    return "object"


def _some(shapes: list[Shape]) -> str:
    texts = [shape.text for shape in shapes if isinstance(shape, LiteralShape)]
    return ", ".join(texts[:10]) + (f" and {len(texts) - 10} more" if len(texts) > 10 else "")
