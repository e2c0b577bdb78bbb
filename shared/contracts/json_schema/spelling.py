"""The canonical text of a value under a schema, or every reason why it has none."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from shared.contracts.json_schema.node import (
    ArrayNode,
    ChoiceNode,
    LiteralNode,
    Node,
    NumberNode,
    ObjectNode,
    StringNode,
    canonical_json,
    kind_of,
    same_value,
)
from shared.contracts.json_schema.number import number_text
from shared.errors import FieldViolation


class Speller:
    """Spells values and collects what cannot be spelled."""

    def __init__(self) -> None:
        self.faults: list[FieldViolation] = []

    def spell(self, node: Node, value: Any, path: str) -> str:  # Any: a JSON value, numbers as int or Decimal
        """The canonical text; meaningless when `faults` grew."""
        match node:
            case LiteralNode():
                return node.text if same_value(node.value, value) else self._fault(path, f"must be {node.text}")
            case ChoiceNode():
                return self._choice(node, value, path)
            case NumberNode():
                return self._number(node, value, path)
            case StringNode():
                return self._string(node, value, path)
            case ArrayNode():
                return self._array(node, value, path)
            case ObjectNode():
                return self._object(node, value, path)

    def _fault(self, path: str, what: str) -> str:
        self.faults.append(FieldViolation(f"output#{path}", what))
        return ""

    def _choice(self, node: ChoiceNode, value: Any, path: str) -> str:  # Any: a JSON value
        attempts = []
        for branch in node.branches:
            attempt = Speller()
            text = attempt.spell(branch, value, path)
            if not attempt.faults:
                return text
            attempts.append(attempt.faults)
        # The deepest complaint comes from the branch that was meant.
        best = max(attempts, key=lambda faults: max(len(fault.path) for fault in faults))
        if len(attempts) > 1 and all(fault.path == f"output#{path}" for fault in best):
            return self._fault(path, "fits none of the allowed alternatives")
        self.faults.extend(best)
        return ""

    def _number(self, node: NumberNode, value: Any, path: str) -> str:  # Any: a JSON value
        if kind_of(value) != "number":
            return self._fault(path, f"must be a{'n integer' if node.integer else ' number'}")
        number = Decimal(value)
        text = number_text(number)
        if text is None:
            return self._fault(path, "has more digits than can be generated: 15 significant, 6 after the point above 1")
        if not node.range.holds(Fraction(number)):
            return self._fault(path, f"{text} is outside the allowed range")
        return text

    def _string(self, node: StringNode, value: Any, path: str) -> str:  # Any: a JSON value
        if not isinstance(value, str):
            return self._fault(path, "must be a string")
        if len(value) < node.min_length or (node.max_length is not None and len(value) > node.max_length):
            return self._fault(path, f"has {len(value)} characters, outside the allowed length")
        controls = sorted({char for char in value if char < " " and char not in "\b\t\n\f\r"})
        if controls:
            names = ", ".join(f"U+{ord(char):04X}" for char in controls)
            return self._fault(path, f"holds control characters that are never generated: {names}")
        if not all(machine.accepts(value) for machine in node.machines):
            return self._fault(path, "does not match the pattern or format as it is generated")
        return canonical_json(value)

    def _array(self, node: ArrayNode, value: Any, path: str) -> str:  # Any: a JSON value
        if not isinstance(value, list):
            return self._fault(path, "must be an array")
        if len(value) < node.min_items or (node.max_items is not None and len(value) > node.max_items):
            return self._fault(path, f"has {len(value)} items, outside the allowed number")
        return "[" + ",".join(self.spell(node.item, item, f"{path}/{i}") for i, item in enumerate(value)) + "]"

    def _object(self, node: ObjectNode, value: Any, path: str) -> str:  # Any: a JSON value
        if not isinstance(value, dict):
            return self._fault(path, "must be an object")
        for name in value:
            if node.property(name) is None:
                self._fault(f"{path}/{escape(name)}", "is not declared in properties, so it is never generated")
        members = []
        for member in node.properties:
            if member.name in value:
                text = self.spell(member.node, value[member.name], f"{path}/{escape(member.name)}")
                members.append(f"{canonical_json(member.name)}:{text}")
            elif member.required:
                self._fault(f"{path}/{escape(member.name)}", "is required")
        return "{" + ",".join(members) + "}"


def escape(name: str | int) -> str:
    """One token of a JSON Pointer (RFC 6901)."""
    return str(name).replace("~", "~0").replace("/", "~1")
