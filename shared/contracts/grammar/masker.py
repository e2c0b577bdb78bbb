"""Narrows a parser's mask to the tokens after which an answer can still end in time, with keys that are not used."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shared.contracts.automaton import pack
from shared.contracts.grammar.network import ENDLESS, Network
from shared.contracts.grammar.planner import Hazard, Planner
from shared.contracts.grammar.reach import measure_reach, node_peak
from shared.contracts.grammar.stack import Scope
from shared.contracts.grammar.tracker import State
from shared.contracts.token_table import TokenTable
from shared.lazy import cached_property

_Words = NDArray[np.int32]
_MAX_CANDIDATES = 256
"""Tokens that are tried one by one for a mask, about a microsecond a byte; the lowest ids, in byte-level BPE the most
frequent tokens. What is beyond is left out: the mask is then smaller than it could be, never wrong."""
_MAX_KEYED_CANDIDATES = 64
"""The same where keys are told apart: a trial takes about 20 microseconds there."""
_ALL_BYTES = frozenset(range(256))
_UNBOUNDED = 1 << 20


class Masker:
    """Masks over one network and one vocabulary.

    A token is *safe* where a bound says that the answer can end in time after it; others are tried one by one. The
    bound: tokens that stay inside the terminal in which an answer is cost at most its peak; each unit that a token
    completes beyond adds at most `Reach.commitment`.
    """

    def __init__(self, network: Network, planner: Planner, table: TokenTable) -> None:
        self._network, self._planner, self._table = network, planner, table
        self._reach = measure_reach(network)
        self._trials = _MAX_KEYED_CANDIDATES if network.has_open_keys else _MAX_CANDIDATES
        keys = [rule for rule in network.rules.values() if rule.is_open_key]
        self._key_ends = frozenset[int]().union(*(self._reach.exits[rule] for rule in keys))
        self._need = max((rule.body.need for rule in network.rules.values() if rule.body.cost < ENDLESS), default=0)

    def mask(
        self, state: State, offered: _Words | None, remaining: int, plan: Callable[[], tuple[int, ...] | None]
    ) -> _Words:
        """The tokens of `offered`, or single bytes where it is None, after which the answer can end in time.

        `plan()` ends the answer, without the stop token: its first token is allowed where the choice is narrowed. An
        offer of nothing is not believed: as long as `remaining` is enough to end, the mask is not empty.
        """
        if offered is None:  # no parser says what is valid: every token is tried
            offered = self._single_bytes
            words, trials = np.zeros_like(offered), _MAX_CANDIDATES
        else:
            words, trials = self._safe(state, offered, remaining), self._trials
        doubtful = offered & ~words
        eos_id = self._table.vocabulary.eos_id
        stop = np.int32(np.uint32(1 << eos_id % 32).view(np.int32))
        doubtful[eos_id // 32] &= ~stop
        if doubtful.any() or not (state.is_accepting or words.any()):
            allowed = [token for token in _ids(doubtful, trials) if self._fits(state, token, remaining)]
            ending = plan()
            if ending and len(ending) + 1 <= remaining:
                allowed.append(ending[0])
            elif ending is None and self._planner.cost(state) <= remaining:
                allowed.append(self._planner.first_token(state))
            words = words | pack(np.array(allowed, dtype=np.int32), self._table.vocabulary.size)
        if state.is_accepting and remaining >= 1:
            words[eos_id // 32] |= stop
        else:
            words[eos_id // 32] &= ~stop
        return words

    def is_binding(self, state: State, remaining: int) -> bool:
        """Whether the budget may narrow the choice here."""
        return self._room(state, remaining) < self._reach.commitment

    def after(self, state: State, token: int) -> State | None:
        """The state after a token; None when the contract does not allow it, or nothing could end the answer then."""
        data = self._table.vocabulary.token_bytes.get(token)
        following = self._planner.tracker.walk(state, data) if data else None
        return following if following is not None and self._planner.cost(following) < ENDLESS else None

    def _fits(self, state: State, token: int, remaining: int) -> bool:
        cost = state.verified.get(token)
        if cost is None:
            following = self.after(state, token)
            cost = state.verified[token] = ENDLESS if following is None else self._planner.cost(following)
        return cost <= remaining - 1

    def _room(self, state: State, remaining: int) -> int:
        """Tokens to spare after one that stays in its terminal, the stop token aside."""
        worst = 0
        for thread in state.threads:
            terminal = thread.rest.terminal if thread.rest else None
            if terminal is not None and thread.rest is not None:
                worst = max(worst, self._reach.peaks[terminal] + thread.rest.below)
            else:
                worst = max(worst, node_peak(thread.node) + (thread.rest.cost if thread.rest else 0))
        hazards = [self._planner.hazard(scope).cost for scope in _scopes(state)]
        return remaining - 2 - worst - max(hazards, default=0) - self._fresh.cost

    def _safe(self, state: State, offered: _Words, remaining: int) -> _Words:
        """Those of the offered tokens that need no trial; a new array."""
        room, reach = self._room(state, remaining), self._reach
        if room < 0 or (self._network.has_open_keys and self._planner.is_short_of_keys(state, spare=16)):
            return np.zeros_like(offered)
        terminals = {thread.rest.terminal if thread.rest else None for thread in state.threads}
        leaving = frozenset[int]().union(*(reach.exits[t] if t else _ALL_BYTES for t in terminals))
        most = room // reach.commitment if reach.commitment else _UNBOUNDED
        words = offered & self._table.exits(leaving, reach.endings, most)
        if self._network.is_recursive and reach.chain:
            level = max((thread.rest.level for thread in state.threads if thread.rest), default=0)
            most = (self._planner.tracker.max_level - level - self._need) // reach.chain - 2
            words &= self._table.exits(_ALL_BYTES, reach.endings, most)
        if self._network.has_open_keys:
            self._remove_doubtful_keys(state, words)
        return words

    def _remove_doubtful_keys(self, state: State, words: _Words) -> None:
        """Takes out every token that might write a used key, or one that can only become a used key."""
        table = self._table
        words &= table.exits(_ALL_BYTES, self._key_ends, 1)  # two ends of keys in one token: too rare to reason about
        exhausted = set(self._fresh.exhausted)
        for scope in _scopes(state):
            exhausted |= self._planner.hazard(scope).exhausted
        parts = [table.containing(part) for part in exhausted if part]
        for key in {thread.key for thread in state.threads if thread.key is not None}:
            parts += [table.starting(part[len(key) :]) for part in exhausted if part.startswith(key)]
        if b"" in exhausted:
            words[:] = 0
        elif parts:
            words &= ~pack(np.concatenate(parts), table.vocabulary.size)

    @cached_property
    def _fresh(self) -> Hazard:
        """What the keys that maps begin with make harder."""
        scopes = [Scope(rule.taken, None) for rule in self._network.rules.values() if rule.taken]
        hazards = [self._planner.hazard(scope) for scope in dict.fromkeys(scopes)]
        exhausted = frozenset[bytes]().union(*(hazard.exhausted for hazard in hazards))
        return Hazard(max((hazard.cost for hazard in hazards), default=0), exhausted)

    @cached_property
    def _single_bytes(self) -> _Words:
        """The tokens of one byte: what a mask is made of without a parser, enough to write any text."""
        vocabulary = self._table.vocabulary
        tokens = [token for token, data in vocabulary.token_bytes.items() if len(data) == 1]
        return pack(np.array(tokens, dtype=np.int32), vocabulary.size)


def _scopes(state: State) -> set[Scope]:
    return {thread.scope for thread in state.threads if thread.scope is not None}


def _ids(words: _Words, most: int) -> list[int]:
    """The lowest token ids of a mask, at most `most`."""
    places = np.flatnonzero(words)[:most]
    rows, bits = np.nonzero(np.unpackbits(words[places].view(np.uint8).reshape(-1, 4), axis=1, bitorder="little"))
    ids: list[int] = (places[rows[:most]] * 32 + bits[:most]).tolist()
    return ids
