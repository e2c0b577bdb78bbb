"""Follows a text through a grammar byte by byte: who says which texts are valid, and how far each is from its end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.contracts.grammar.network import ENDLESS, Call, Choice, Empty, Item, Loop, Mark, Network, Pair, Unit
from shared.contracts.grammar.stack import Cell, Scope, Thread

MAX_LEVEL = 96
"""Nested recursive calls that an answer may open: about 48 levels of JSON. Readers and validators recurse as well, and
Python's end at a thousand frames."""
_MAX_STATES = 100_000
"""States that are remembered, a few KiB each with what hangs on them; beyond, all are forgotten and met anew."""


_Closure = tuple[tuple[Thread, ...], bool]
_Entry = tuple[Item, Cell | None, int, Scope | None, bytes | None]
"""A part about to begin: the part, the stack under it, its level, and scope and key around it."""


@dataclass(eq=False, slots=True)
class State:
    """All ways to read what was written so far. Compared by identity."""

    threads: tuple[Thread, ...]
    is_accepting: bool
    steps: dict[int, State | None] = field(default_factory=dict)
    cost: int = -1
    """Tokens that are enough to end from here, the stop token included; -1 while nobody has asked."""
    verified: dict[int, int] = field(default_factory=dict)
    """By token: the cost after it."""


class Tracker:
    """Simulates a network without choosing between its ways (Thompson 1968, with stacks shared as in Tomita 1986).

    A part is refused when even its cheapest text would nest deeper than `max_level`: so every state that is reached can
    be completed within that depth.
    """

    def __init__(self, network: Network, max_level: int = MAX_LEVEL) -> None:
        self.network, self.max_level = network, max_level
        self._cells: dict[tuple[Item, Cell | None, int], Cell] = {}
        self._states: dict[tuple[frozenset[Thread], bool], State] = {}
        self.start = self.state(*self.enter(network_call(network), None, None))

    def step(self, state: State, byte: int) -> State | None:
        """The state after a byte; None when no text goes on like this."""
        try:
            return state.steps[byte]
        except KeyError:
            following = state.steps[byte] = self._step(state, byte)
            return following

    def walk(self, state: State, text: bytes) -> State | None:
        """The state after several bytes."""
        for byte in text:
            following = state.steps.get(byte) or self.step(state, byte)
            if following is None:
                return None
            state = following
        return state

    def state(self, threads: Iterable[Thread], is_accepting: bool) -> State:
        """The state of these threads."""
        rows = tuple(dict.fromkeys(threads))
        key = (frozenset(rows), is_accepting)
        found = self._states.get(key)
        if found is None:
            if len(self._states) >= _MAX_STATES:
                self._states.clear()
                self._cells.clear()
            found = self._states[key] = State(rows, is_accepting)
        return found

    def _step(self, state: State, byte: int) -> State | None:
        threads: list[Thread] = []
        is_accepting = False
        for thread in state.threads:
            following = thread.node.table.get(byte, thread.node)
            if following is thread.node:  # no byte leads back to its own place
                continue
            key = None if thread.key is None else thread.key + bytes([byte])
            if following is not None:
                threads.append(Thread(following, thread.rest, thread.scope, key))
                continue
            more, ends = self.resume(thread.rest, thread.scope, key)
            threads.extend(more)
            is_accepting |= ends
        return self.state(threads, is_accepting) if threads or is_accepting else None

    def resume(self, rest: Cell | None, scope: Scope | None, key: bytes | None) -> _Closure:
        """The threads of a stack, and whether it may be over."""
        if rest is None:
            return (), True
        if scope is None and key is None:
            if rest.closure is None:
                rest.closure = self._closure([(rest.item, rest.rest, rest.level, None, None)])
            return rest.closure
        return self._closure([(rest.item, rest.rest, rest.level, scope, key)])

    def enter(self, item: Item, rest: Cell | None, scope: Scope | None) -> _Closure:
        """The threads at the beginning of a part."""
        return self._closure([(item, rest, 0, scope, None)])

    def cell(self, item: Item, rest: Cell | None, level: int) -> Cell:
        """The one cell of its kind."""
        key = (item, rest, level)
        found = self._cells.get(key)
        if found is None:
            found = self._cells[key] = Cell(item, rest, level)
        return found

    def _closure(self, stack: list[_Entry]) -> _Closure:
        """Goes on without reading until units begin."""
        threads: dict[Thread, None] = {}
        seen: set[_Entry] = set()
        is_accepting = False
        while stack:
            entry = stack.pop()
            item, rest, level, scope, key = entry
            if entry in seen or item.cost >= ENDLESS or level + item.need > self.max_level:
                continue
            seen.add(entry)
            if isinstance(item, Unit):
                threads[Thread(item.node, rest, scope, key)] = None
                continue
            stack.extend(self._beginnings(entry))
            if isinstance(item, Mark):
                ended = _end(item, scope, key)
                if ended is None:
                    continue
                scope, key = ended
            elif not isinstance(item, Empty) and not (isinstance(item, Loop) and item.least == 0):
                continue
            if rest is None:
                is_accepting = True
            else:
                stack.append((rest.item, rest.rest, rest.level, scope, key))
        return tuple(threads), is_accepting

    def _beginnings(self, entry: _Entry) -> list[_Entry]:
        """The parts that a part can begin with."""
        item, rest, level, scope, key = entry
        if isinstance(item, Pair):
            return [(item.first, self.cell(item.second, rest, level), level, scope, key)]
        if isinstance(item, Choice):
            return [(branch, rest, level, scope, key) for branch in reversed(item.branches)]
        if isinstance(item, Loop):
            more = item.rest
            return [(item.item, rest if more is None else self.cell(more, rest, level), level, scope, key)]
        if isinstance(item, Call):
            return [self._called(item, rest, level, scope, key)]
        return []

    def _called(self, call: Call, rest: Cell | None, level: int, scope: Scope | None, key: bytes | None) -> _Entry:
        rule = call.rule
        if call.is_recursive:
            level = (rest.level if rest else 0) + 1  # of the stack it returns to: a call in last place is a jump
        if rule.needs_mark:
            if rule.taken is not None:
                scope = Scope(rule.taken, scope)
            if rule.is_open_key and scope is not None:
                key = b""
            rest = self.cell(rule.mark, rest, level)
        return rule.body, rest, level, scope, key


def network_call(network: Network) -> Item:
    """The call of the root rule."""
    call = Call(network.root, is_recursive=False)
    call.measure()
    return call


def _end(mark: Mark, scope: Scope | None, key: bytes | None) -> tuple[Scope | None, bytes | None] | None:
    """Scope and key after a marked rule; None when it wrote a key that its map holds already."""
    if mark.rule.taken is not None:
        assert scope is not None
        return scope.parent, None
    if mark.rule.is_open_key and key is not None:
        assert scope is not None
        if key in scope.used:
            return None
        return Scope(scope.used | {key}, scope.parent), None
    return scope, key
