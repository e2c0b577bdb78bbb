"""The texts that a place inside a terminal can still become, shortest first: how unused keys are found."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from shared.contracts.grammar.network import Mark, RuleNetwork
from shared.contracts.grammar.stack import Cell, Thread
from shared.contracts.grammar.tracker import Tracker

_MAX_TRIES = 20_000
"""Prefixes that a search for one more text looks at."""


def completions(tracker: Tracker, threads: tuple[Thread, ...]) -> Iterator[bytes]:
    """The texts that lead from places inside one terminal to its end, each once, in order of length.

    Best-first search by least length (A*, Hart et al. 1968): nothing is looked at that does not lead to a text of that
    length. Stops after `_MAX_TRIES` prefixes.
    """
    start = tuple(Thread(thread.node, thread.rest, None, None) for thread in threads)
    heap: list[tuple[int, bytes, int, tuple[Thread, ...]]] = [(_least(start), b"", 0, start)]
    ends: set[bytes] = set()
    for order in range(_MAX_TRIES):
        if not heap:
            return
        _, text, _, places = heapq.heappop(heap)
        if not places:
            yield text
            continue
        for byte in sorted({byte for place in places for byte in place.node.table}):
            following, is_end = _step(tracker, places, byte)
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


def _step(tracker: Tracker, places: tuple[Thread, ...], byte: int) -> tuple[tuple[Thread, ...], bool]:
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
        more, ended = _inside(tracker, place.rest)
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
