"""The texts that a place inside a terminal can still become, shortest first: how unused keys are found."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterator
from functools import cache, partial

from shared.contracts.grammar.network import ENDLESS, Item, Mark, RuleNetwork
from shared.contracts.grammar.stack import Cell, Thread
from shared.contracts.grammar.tracker import Tracker
from shared.contracts.token_table import TokenTable

_MAX_TRIES = 20_000
"""Prefixes that a search for one more text looks at."""
_MAX_PLACES = 4096
"""Places inside of keys whose endings are remembered; beyond, all are forgotten and searched anew."""

_Inside = Callable[[Cell], tuple[tuple[Thread, ...], bool]]


class KeyTexts:
    """The texts of open keys, and the endings of begun ones, remembered as far as they were asked for.

    The more keys a map has, the more of them a search from the beginning would have to pass.
    """

    def __init__(self, tracker: Tracker, table: TokenTable) -> None:
        self._tracker, self._table = tracker, table
        self._starts: dict[RuleNetwork, tuple[Thread, ...]] = {}
        self._found: dict[tuple[Thread, ...], tuple[list[bytes], Iterator[bytes]]] = {}
        self._peaks: dict[RuleNetwork, list[int]] = {}
        # The answers of one contract are made in several threads, a generator runs in one.
        self._lock = threading.Lock()

    def of(self, rule: RuleNetwork, count: int) -> list[bytes]:
        """At least the first `count` texts of an open key, shortest first; fewer when that is all."""
        if rule not in self._starts:
            self._starts[rule] = key_start(self._tracker, rule)
        return self._texts(self._starts[rule], count)

    def endings(self, place: Thread, count: int) -> list[bytes]:
        """The same for the texts that lead from a place inside of a key to the key's end."""
        assert place.rest is not None
        return self._texts((Thread(place.node, self._alone(place.rest), None, None),), count)

    def dearest(self, rule: RuleNetwork, count: int) -> int:
        """Most tokens that one of the first `count` texts of an open key takes."""
        texts = self.of(rule, count)
        with self._lock:
            peaks = self._peaks.setdefault(rule, [])
            for text in texts[len(peaks) : count]:
                cost = self._table.costs(text)[0]
                peaks.append(max(cost, peaks[-1]) if peaks else cost)
            return peaks[min(count, len(peaks)) - 1] if peaks else ENDLESS

    def _alone(self, rest: Cell) -> Cell:
        """A stack down to the end of its key: what lies under that is nothing to the key."""
        items: list[Item] = []
        while not isinstance(rest.item, Mark):
            items.append(rest.item)
            assert rest.rest is not None
            rest = rest.rest
        cell = self._tracker.cell(rest.item, None, 0)
        for item in reversed(items):
            cell = self._tracker.cell(item, cell, 0)
        return cell

    def _texts(self, places: tuple[Thread, ...], count: int) -> list[bytes]:
        with self._lock:
            found = self._found.get(places)
            if found is None:
                if len(self._found) >= _MAX_PLACES:
                    self._found.clear()
                found = self._found[places] = ([], completions(self._tracker, places))
            texts, more = found
            while len(texts) < count:
                text = next(more, None)
                if text is None:
                    break
                texts.append(text)
        return texts


def completions(tracker: Tracker, threads: tuple[Thread, ...]) -> Iterator[bytes]:
    """The texts that lead from places inside one terminal to its end, each once, in order of length.

    Best-first search by least length (A*, Hart et al. 1968): nothing is looked at that does not lead to a text of that
    length. Stops after `_MAX_TRIES` prefixes.
    """
    start = tuple(Thread(thread.node, thread.rest, None, None) for thread in threads)
    heap: list[tuple[int, bytes, int, tuple[Thread, ...]]] = [(_least(start), b"", 0, start)]
    ends: set[bytes] = set()
    inside = cache(partial(_inside, tracker))
    for order in range(_MAX_TRIES):
        if not heap:
            return
        _, text, _, places = heapq.heappop(heap)
        if not places:
            yield text
            continue
        for byte in sorted({byte for place in places for byte in place.node.table}):
            following, is_end = _step(inside, places, byte)
            longer = text + bytes([byte])
            if following:
                heapq.heappush(heap, (len(longer) + _least(following), longer, order, following))
            if is_end and longer not in ends:
                ends.add(longer)
                heapq.heappush(heap, (len(longer), longer, -1, ()))


def key_start(tracker: Tracker, rule: RuleNetwork) -> tuple[Thread, ...]:
    """The places before any text of a terminal."""
    threads, _ = tracker.enter(rule.body, tracker.cell(rule.mark, None, 0), None)
    return threads


def _least(places: tuple[Thread, ...]) -> int:
    return min(place.node.size + (place.rest.to_key_end if place.rest else 0) for place in places)


def _step(inside: _Inside, places: tuple[Thread, ...], byte: int) -> tuple[tuple[Thread, ...], bool]:
    """The places after a byte, and whether the terminal may end there."""
    following: dict[Thread, None] = {}
    is_end = False
    for place in places:
        if byte not in place.node.table:
            continue
        node = place.node.table[byte]
        if node is not None:
            following[Thread(node, place.rest, None, None)] = None
            continue
        assert place.rest is not None
        more, ended = inside(place.rest)
        following.update(dict.fromkeys(more))
        is_end |= ended
    return tuple(following), is_end


def _inside(tracker: Tracker, rest: Cell) -> tuple[tuple[Thread, ...], bool]:
    """The places that go on inside the terminal, and whether it may end."""
    mark = _mark(rest)
    threads, _ = tracker.resume(rest, None, None)
    inside = tuple(t for t in threads if t.rest is not None and t.rest.terminal and _mark(t.rest) is mark)
    return inside, rest.to_key_end == 0


def _mark(rest: Cell) -> Cell:
    while not isinstance(rest.item, Mark):
        assert rest.rest is not None
        rest = rest.rest
    return rest
