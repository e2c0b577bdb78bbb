"""How an answer can be ended from where it is: tokens that are enough, and a text that does it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shared.contracts.grammar.key_text import KeyTexts, key_start
from shared.contracts.grammar.network import (
    ENDLESS,
    Call,
    Choice,
    Item,
    Loop,
    Mark,
    Network,
    Pair,
    RuleNetwork,
    Unit,
)
from shared.contracts.grammar.stack import Cell, Scope, Thread
from shared.contracts.grammar.tracker import State, Tracker
from shared.contracts.token_table import TokenTable

_SPARE_KEYS = 64
"""Keys of an open map whose cost is taken as that of the dearest of the first so many."""
_MAX_DUE_KEYS = 4_000
"""Keys that a map may ask for: the first so many texts of a key are found in half a second."""
_MAX_PLAN_BYTES = 32 << 10
"""Longest text that is worked out as a whole; beyond, the sum of its parts' costs has to do."""


@dataclass(frozen=True)
class Hazard:
    """What the used keys of a map make harder."""

    cost: int
    """Most tokens that it takes to complete a key whose beginning is that of a used one."""
    exhausted: frozenset[bytes]
    """Used keys, and beginnings that only used keys have: nothing may begin with one of these."""


@dataclass(frozen=True)
class _Used:
    """The keys of a map while an ending is written: `places` says how many texts of each open key are passed."""

    keys: set[bytes]
    places: dict[RuleNetwork, int]


class Planner:
    """Ways to the end for the states of one tracker."""

    def __init__(self, network: Network, table: TokenTable) -> None:
        self._table = table
        self._open_keys = [rule for rule in network.rules.values() if rule.is_open_key]
        self._priced = _SPARE_KEYS
        self._hazards: dict[frozenset[bytes], Hazard] = {frozenset(): Hazard(0, frozenset())}
        self.tracker = Tracker(network)
        self._keys = KeyTexts(self.tracker, table)
        if self._open_keys:
            self._price_keys(network)
            self.tracker = Tracker(network)  # whose sums know the new prices
            self._keys = KeyTexts(self.tracker, table)

    def _price_keys(self, network: Network) -> None:
        maps = [rule for rule in network.rules.values() if rule.taken is not None]
        # Members that are named count as taken, and an answer without them needs as many keys more.
        wanted = {rule: rule.body.keys + 2 * len(rule.taken or ()) for rule in maps if rule.body.cost < ENDLESS}
        self._priced = min(max(wanted.values(), default=0), _MAX_DUE_KEYS) + _SPARE_KEYS
        for rule in self._open_keys:
            rule.key_cost = self._keys.dearest(rule, self._priced)
        for rule in wanted:
            due, scope = rule.body.keys, Scope(rule.taken or frozenset(), None)
            rule.is_dead = due > 0 and (due > _MAX_DUE_KEYS or self._shortage(rule, due, scope) >= ENDLESS)
        network.measure()

    def cost(self, state: State) -> int:
        """Tokens that are enough to end, the stop token included; at least `ENDLESS` where nothing ends it.

        The sum of what the parts still to come take one by one: an upper bound of the fewest, and cheap.
        """
        if state.cost < 0:
            state.cost = 1 if state.is_accepting else 1 + min(map(self._thread_cost, state.threads), default=ENDLESS)
        return state.cost

    def plan(self, state: State) -> tuple[int, ...] | None:
        """Tokens that end the answer, without the stop token, no more than `cost` says; None if they are too many."""
        if state.is_accepting:
            return ()
        thread = min(state.threads, key=self._thread_cost)
        text = self._completion(thread)
        return None if text is None else self._table.segment(text)

    def first_token(self, state: State) -> int:
        """A token after which `cost` is at least one less, where the answer is not over yet."""
        thread = min(state.threads, key=self._thread_cost)
        text = thread.node.witness if thread.key is None else self._key_ending(thread)
        assert text is not None
        return self._table.segment(text)[0]

    def hazard(self, scope: Scope) -> Hazard:
        """What the used keys of this map and of all around it make harder."""
        hazards = [self._hazard(scope.used)]
        while scope.parent is not None:
            scope = scope.parent
            hazards.append(self._hazard(scope.used))
        return Hazard(max(h.cost for h in hazards), frozenset[bytes]().union(*(h.exhausted for h in hazards)))

    def is_short_of_keys(self, state: State, spare: int) -> bool:
        """Whether a map that must get more keys has so many already that their cost is no longer bounded by price."""
        return any(
            due and len(scope.used) + due + spare > self._priced for t in state.threads for _, due, scope in _scopes(t)
        )

    def _thread_cost(self, thread: Thread) -> int:
        cost = thread.node.cost + (thread.rest.cost if thread.rest else 0)
        if thread.scope is None or cost >= ENDLESS:
            return cost
        if thread.key is not None:
            assert thread.rest is not None
            ending = self._key_ending(thread)
            if ending is None:
                return ENDLESS
            cost = thread.rest.below + max(cost - thread.rest.below, self._table.costs(ending)[0])
        for rule, due, scope in _scopes(thread):
            if due:
                cost += self._shortage(rule, due, scope)
        return cost

    def _shortage(self, rule: RuleNetwork, due: int, scope: Scope) -> int:
        """What `due` more keys of a map cost beyond their price; `ENDLESS` when there are not as many."""
        extra, count = 0, len(scope.used) + 1 + due
        for key in rule.own_keys:
            texts = self._keys.of(key, count)
            if len(texts) < count and sum(text not in scope.used for text in texts) < due:
                return ENDLESS
            if count > self._priced:
                extra = max(extra, due * max(0, self._keys.dearest(key, count) - key.key_cost))
        return extra

    def _key_ending(self, thread: Thread) -> bytes | None:
        """A short text that makes an unused key of what is written of it; None when every one is used."""
        assert thread.key is not None
        assert thread.scope is not None
        assert thread.rest is not None
        ending = thread.node.witness + _fixed_text(thread.rest)
        used = thread.scope.used
        if thread.key + ending not in used:
            return ending
        texts: list[bytes] = []
        while True:
            known, texts = len(texts), self._keys.endings(thread, len(texts) + 1)
            unused = next((text for text in texts[known:] if thread.key + text not in used), None)
            if unused is not None or len(texts) == known:
                return unused

    def _hazard(self, used: frozenset[bytes]) -> Hazard:
        found = self._hazards.get(used)
        if found is None:
            known = next((key for key in used if used - {key} in self._hazards), None)
            hazard, fresh = (self._hazards[frozenset()], used) if known is None else (
                self._hazards[used - {known}], frozenset({known})
            )  # fmt: skip
            exhausted, cost = set(hazard.exhausted), hazard.cost
            for key in fresh:
                exhausted.add(key)
                cost = max(cost, self._endanger(key, used, exhausted))
            found = self._hazards[used] = Hazard(cost, frozenset(exhausted))
        return found

    def _endanger(self, key: bytes, used: frozenset[bytes], exhausted: set[bytes]) -> int:
        """Adds the beginnings of `key` that nothing unused has; the most tokens that completing another one takes."""
        worst = 0
        for rule in self._open_keys:
            scope = Scope(used, None)
            places = tuple(Thread(t.node, t.rest, scope, b"") for t in key_start(self.tracker, rule))
            for place in range(len(key)):
                if not places:
                    break
                endings = [ending for thread in places if (ending := self._key_ending(thread)) is not None]
                if endings:
                    worst = max(worst, min(self._table.costs(ending)[0] for ending in endings))
                else:
                    exhausted.add(key[:place])
                state = self.tracker.state(places, False)
                following = self.tracker.step(state, key[place])
                threads = following.threads if following else ()
                places = tuple(t for t in threads if t.key is not None and t.rest is not None)
        return worst

    def _completion(self, thread: Thread) -> bytes | None:
        """A text that ends the answer; None when it is longer than `_MAX_PLAN_BYTES`."""
        used = [_Used(set(scope.used), {}) for scope in reversed(list(_chain(thread.scope)))]
        rest = thread.rest
        if thread.key is None:
            output = bytearray(thread.node.witness)
        else:
            ending = self._key_ending(thread)
            assert ending is not None
            assert rest is not None
            output = bytearray(ending)
            used[-1].keys.add(thread.key + ending)
            while not isinstance(rest.item, Mark):
                assert rest.rest is not None
                rest = rest.rest
            rest = rest.rest
        while rest is not None and len(output) <= _MAX_PLAN_BYTES:
            self._write(rest.item, output, used)
            rest = rest.rest
        return bytes(output) if len(output) <= _MAX_PLAN_BYTES else None

    def _write(self, item: Item, output: bytearray, used: list[_Used]) -> None:
        """Appends the cheapest text of a part, with keys that are not used yet."""
        stack = [item]
        while stack and len(output) <= _MAX_PLAN_BYTES:
            match stack.pop():
                case Unit() as unit:
                    output += unit.node.witness
                case Pair() as pair:
                    stack += [pair.second, pair.first]
                case Choice() as choice if choice.best is not None:
                    stack.append(choice.best)
                case Loop() as loop:
                    stack += [loop.item] * min(loop.least, _MAX_PLAN_BYTES + 1)
                case Mark() as mark if mark.rule.taken is not None:
                    used.pop()
                case Call() as call if call.rule.is_open_key and used:
                    output += self._unused(call.rule, used[-1])
                case Call() as call:
                    if call.rule.taken is not None:
                        used.append(_Used(set(call.rule.taken), {}))
                        stack.append(call.rule.mark)
                    stack.append(call.rule.body)

    def _unused(self, rule: RuleNetwork, used: _Used) -> bytes:
        """The first text of an open key that is not used; used from now on."""
        texts = self._keys.of(rule, len(used.keys) + 1)
        place = used.places.get(rule, 0)
        while texts[place] in used.keys:
            place += 1
        used.places[rule] = place + 1
        used.keys.add(texts[place])
        return texts[place]


def _chain(scope: Scope | None) -> Iterator[Scope]:
    while scope is not None:
        yield scope
        scope = scope.parent


def _scopes(thread: Thread) -> Iterator[tuple[RuleNetwork, int, Scope]]:
    """For each map that is open, from the innermost: keys that the cheapest ending has to write, and the used ones."""
    rest = thread.rest
    for scope in _chain(thread.scope):
        due = rest.keys if rest else 0
        while rest is not None and not (isinstance(rest.item, Mark) and rest.item.rule.taken is not None):
            rest = rest.rest
        assert rest is not None, "a map ends with its mark"
        assert isinstance(rest.item, Mark)
        yield rest.item.rule, due, scope
        rest = rest.rest


def _fixed_text(rest: Cell) -> bytes:
    """The cheapest text of what is left of a terminal."""
    output = bytearray()
    cell: Cell | None = rest
    while cell is not None and not isinstance(cell.item, Mark):
        stack = [cell.item]
        while stack:
            match stack.pop():
                case Unit() as unit:
                    output += unit.node.witness
                case Pair() as pair:
                    stack += [pair.second, pair.first]
                case Choice() as choice if choice.best is not None:
                    stack.append(choice.best)
                case Loop() as loop:
                    stack += [loop.item] * loop.least
        cell = cell.rest
    return bytes(output)
