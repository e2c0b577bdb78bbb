"""From the tree of allowed values to one expression for the index, with its cost known beforehand."""

from __future__ import annotations

from collections.abc import Sequence

from shared.contracts.grammar.expression import _counted as counted
from shared.contracts.grammar.expression import literal, regex
from shared.contracts.json_schema.encoding import quoted
from shared.contracts.json_schema.node import (
    ArrayNode,
    ChoiceNode,
    LiteralNode,
    Node,
    NumberNode,
    ObjectNode,
    Property,
    StringNode,
    canonical_json,
)
from shared.errors import FieldViolation, InvalidInput

MAX_POSITIONS = 150_000
"""Places for one character in the whole expression; each costs about ten states of a non-deterministic automaton.

14 optional strings of 120 characters are 6,500 places and compile in 2 s; this limit keeps the compiler under 3 GiB.
"""
MAX_LEVELS = 24
"""Nesting of values: the index refuses expressions of more than 250 levels, and one level of ours costs up to eight."""

_NUMBER_POSITIONS = 60


def emit(root: Node) -> str:
    """The expression of all canonical texts; raises `InvalidInput` (`CONTRACT_TOO_LARGE`) naming the place."""
    measure = _Measure()
    if measure.levels(root) > MAX_LEVELS:
        raise _too_large(root.pointer, f"nests values {measure.levels(root)} levels deep, the limit is {MAX_LEVELS}")
    cost = measure.positions(root)
    if cost > MAX_POSITIONS:
        culprit = measure.culprit(root)
        raise _too_large(
            culprit.pointer,
            f"takes {measure.positions(culprit)} character places, the limit for a contract is {MAX_POSITIONS}",
        )
    return _Emitter().regex(root)


def _too_large(pointer: str, why: str) -> InvalidInput:
    return InvalidInput(
        "CONTRACT_TOO_LARGE",
        f"The schema is too large: {pointer or 'its root'} {why}.",
        hint="Lower maxLength and maxItems, or leave maxLength out: a string without it costs one place.",
        violations=[FieldViolation(f"json_schema#{pointer}", f"This part {why}.")],
        metadata={"limit": str(MAX_POSITIONS)},
    )


def _children(node: Node) -> Sequence[Node]:
    match node:
        case ArrayNode():
            return (node.item,)
        case ObjectNode():
            return [member.node for member in node.properties]
        case ChoiceNode():
            return node.branches
    return ()


class _Measure:
    """Sizes of a tree whose nodes may be shared, each computed once."""

    def __init__(self) -> None:
        self._positions: dict[int, int] = {}
        self._levels: dict[int, int] = {}

    def levels(self, node: Node) -> int:
        if id(node) not in self._levels:
            self._levels[id(node)] = 1 + max((self.levels(child) for child in _children(node)), default=0)
        return self._levels[id(node)]

    def positions(self, node: Node) -> int:
        if id(node) not in self._positions:
            self._positions[id(node)] = self._count(node)
        return self._positions[id(node)]

    def culprit(self, node: Node) -> Node:
        """The deepest part that is too large by itself."""
        for child in _children(node):
            if self.positions(child) > MAX_POSITIONS:
                return self.culprit(child)
        return node

    def _count(self, node: Node) -> int:
        match node:
            case LiteralNode():
                return len(node.text)
            case NumberNode():
                return _NUMBER_POSITIONS
            case StringNode():
                return node.expression.positions + 2
            case ArrayNode():
                # Without an upper bound the item stands twice: once, and once in the loop.
                count = max(node.min_items, 1) + 1 if node.max_items is None else node.max_items
                return 2 + (self.positions(node.item) + 1) * count
            case ObjectNode():
                return 2 + self._members(node.properties)
        return sum(self.positions(branch) for branch in node.branches)

    def _members(self, members: Sequence[Property]) -> int:
        own = sum(len(member.name) + 4 + self.positions(member.node) for member in members)
        if len(members) < 2 or any(member.required for member in members):
            return own
        middle = len(members) // 2
        left = sum(len(member.name) + 4 + self.positions(member.node) for member in members[:middle])
        return left + self._members(members[:middle]) + self._members(members[middle:])


class _Emitter:
    """Writes expressions, each shared node once."""

    def __init__(self) -> None:
        self._done: dict[int, str] = {}

    def regex(self, node: Node) -> str:
        if id(node) not in self._done:
            self._done[id(node)] = self._write(node)
        return self._done[id(node)]

    def _write(self, node: Node) -> str:
        match node:
            case LiteralNode():
                return literal(node.text)
            case NumberNode():
                return node.range.regex() or ""  # an empty range was refused when it was read
            case StringNode():
                return regex(quoted(node.expression))
            case ArrayNode():
                return self._array(node)
            case ObjectNode():
                return r"\{" + self._members(node.properties) + r"\}"
        return "(?:" + "|".join(self.regex(branch) for branch in node.branches) + ")"

    def _array(self, node: ArrayNode) -> str:
        if node.max_items == 0:
            return r"\[\]"
        item = self.regex(node.item)
        more = counted(max(node.min_items - 1, 0), None if node.max_items is None else node.max_items - 1)
        items = f"(?:{item}(?:,{item}){more})"
        return rf"\[{items}{'' if node.min_items else '?'}\]"

    def _members(self, members: Sequence[Property]) -> str:
        """Commas need to know whether something stands on their other side: a required member always does."""
        pivot = next((i for i, member in enumerate(members) if member.required), None)
        if pivot is None:
            return f"(?:{self._some_of(members)})?" if members else ""
        before = "".join(f"(?:{self._member(member)},)?" for member in members[:pivot])
        after = "".join(
            f",{self._member(member)}" if member.required else f"(?:,{self._member(member)})?"
            for member in members[pivot + 1 :]
        )
        return before + self._member(members[pivot]) + after

    def _some_of(self, members: Sequence[Property]) -> str:
        """At least one of optional members: what matters is which is the *last*, as that one has no comma.

        Either it is in the right half, and the left half is a plain list of optional "member comma", or it is in the
        left half: O(n log n) places. What was left out before is forgotten, so the automaton stays linear in the
        members; "which is the first" would need a copy of the rest for each.
        """
        if len(members) == 1:
            return self._member(members[0])
        middle = len(members) // 2
        left = "".join(f"(?:{self._member(member)},)?" for member in members[:middle])
        return f"(?:{left}{self._some_of(members[middle:])}|{self._some_of(members[:middle])})"

    def _member(self, member: Property) -> str:
        return literal(canonical_json(member.name)) + ":" + self.regex(member.node)
