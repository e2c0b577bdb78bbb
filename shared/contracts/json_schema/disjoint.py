"""Proves that what we generate for one branch can never satisfy another: what makes `oneOf` a plain choice."""

from __future__ import annotations

from fractions import Fraction

from shared.contracts.json_schema.node import (
    ArrayNode,
    ChoiceNode,
    LiteralNode,
    Node,
    NumberNode,
    ObjectNode,
    StringNode,
    kind_of,
    same_value,
)


def is_disjoint(generated: Node, other: Node) -> bool:
    """Whether no text of `generated` satisfies the schema that `other` was read from.

    Not symmetric: an object we generate has no undeclared keys, but a schema that is not closed would accept them.
    False means "not proved".
    """
    if isinstance(generated, ChoiceNode):
        return all(is_disjoint(branch, other) for branch in generated.branches)
    if isinstance(other, ChoiceNode):
        return all(is_disjoint(generated, branch) for branch in other.branches)
    return _kind(generated) != _kind(other) or _same_kind_disjoint(generated, other)


def _same_kind_disjoint(generated: Node, other: Node) -> bool:
    match generated, other:
        case LiteralNode(), LiteralNode():
            return not same_value(generated.value, other.value)
        case ObjectNode(), ObjectNode():
            return _objects(generated, other)
        case NumberNode() | LiteralNode(), NumberNode() | LiteralNode():
            return _numbers(generated, other)
        case _:
            return _sizes_apart(generated, other)


def _kind(node: LiteralNode | NumberNode | StringNode | ArrayNode | ObjectNode) -> str:
    match node:
        case LiteralNode():
            return kind_of(node.value)
        case NumberNode():
            return "number"
        case StringNode():
            return "string"
        case ArrayNode():
            return "array"
    return "object"


def _objects(generated: ObjectNode, other: ObjectNode) -> bool:
    names = {member.name for member in generated.properties}
    if any(member.required and member.name not in names for member in other.properties):
        return True
    for member in generated.properties:
        if member.required:
            counterpart = other.property(member.name)
            if other.closed if counterpart is None else is_disjoint(member.node, counterpart.node):
                return True
    return False


def _numbers(left: Node, right: Node) -> bool:
    for one, two in ((left, right), (right, left)):
        if isinstance(one, NumberNode) and isinstance(two, LiteralNode):
            value = Fraction(str(two.value))
            return not one.range.holds(value)
        if isinstance(one, NumberNode) and isinstance(two, NumberNode):
            high, low = one.range.maximum, two.range.minimum
            if high is not None and low is not None:
                touching = high.value == low.value and not (high.exclusive or low.exclusive)
                if high.value <= low.value and not touching:
                    return True
    return False


def _sizes_apart(left: Node, right: Node) -> bool:
    (left_low, left_high), (right_low, right_high) = _sizes(left), _sizes(right)
    return (left_high is not None and left_high < right_low) or (right_high is not None and right_high < left_low)


def _sizes(node: Node) -> tuple[int, int | None]:
    match node:
        case StringNode():
            return node.min_length, node.max_length
        case ArrayNode():
            return node.min_items, node.max_items
        case LiteralNode(value=str() | list()):
            return len(node.value), len(node.value)
    return 0, None
