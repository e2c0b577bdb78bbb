"""What an answer still has to say: immutable stacks of parts, shared between all answers that have them in common."""

from __future__ import annotations

from dataclasses import dataclass

from shared.contracts.grammar.network import Item, Mark, RuleNetwork
from shared.contracts.grammar.utf8 import ByteNode
from shared.lazy import cached_property


class Cell:
    """A part to come, and the stack under it (None: the end of the answer). Equal cells are one object.

    The measures are sums over the whole stack; see `Item` for their units.
    """

    __slots__ = ("below", "closure", "cost", "item", "keys", "level", "rest", "terminal", "to_key_end")

    def __init__(self, item: Item, rest: Cell | None, level: int) -> None:
        self.item, self.rest, self.level = item, rest, level
        self.cost: int = item.cost + (rest.cost if rest else 0)
        ends_scope = isinstance(item, Mark) and item.rule.taken is not None
        self.keys: int = 0 if ends_scope else item.keys + (rest.keys if rest else 0)
        """Open keys of the innermost scope that the cheapest completion has to write."""
        self.terminal: RuleNetwork | None = item.terminal
        self.below: int = self.cost
        """Cost of what lies under the terminal that this cell belongs to."""
        self.to_key_end: int = 0
        """Least bytes to the end of the terminal that this cell belongs to."""
        if item.terminal is not None:
            assert rest is not None or isinstance(item, Mark)
            if isinstance(item, Mark):
                self.below = rest.cost if rest else 0
            else:
                assert rest is not None
                self.below, self.to_key_end = rest.below, item.size + rest.to_key_end
        self.closure: tuple[tuple[Thread, ...], bool] | None = None
        """The threads that go on from here where no keys are told apart, and whether the answer may be over."""


@dataclass(frozen=True)
class Scope:
    """The keys that an open map may no longer use, and the map around it."""

    used: frozenset[bytes]
    parent: Scope | None

    @cached_property
    def _hash(self) -> int:
        return hash((self.used, self.parent))

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, slots=True)
class Thread:
    """One way to read what was written so far: a place inside a unit, and the stack under it."""

    node: ByteNode
    rest: Cell | None
    scope: Scope | None
    key: bytes | None
    """What is written of the open key that this place is in; None outside of one."""
