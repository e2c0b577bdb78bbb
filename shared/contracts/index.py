"""Builds a token automaton from a regular language with Outlines' index, and finds the shortest ways to its end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import outlines_core
from numpy.typing import NDArray

from shared.contracts.automaton import TokenAutomaton
from shared.contracts.limit import too_large
from shared.contracts.vocabulary import TokenVocabulary
from shared.errors import FieldViolation, InvalidInput

_SENTINEL = b"\x00"
"""A byte that no text of a contract contains, put before the expression and consumed by a token of its own.

outlines_core 0.2.14 compiles the expression for unanchored search too. That automaton tracks every place where a match
may have begun, which explodes for `"[^"]{0,20}"` (92 s and 4.3 GiB); behind a byte that never recurs it begins once.
An anchor would do the same, but the index refuses expressions that begin with one.
"""

_UNREACHED = np.iinfo(np.int32).max


@dataclass(frozen=True)
class _Edges:
    """The automaton as rows: state `s` owns `offsets[s]:offsets[s + 1]`; state 0 is the start."""

    offsets: NDArray[np.int64]
    tokens: NDArray[np.int32]
    targets: NDArray[np.int32]
    accepting: NDArray[np.bool_]


def build_automaton(regex: str, vocabulary: TokenVocabulary, *, max_states: int) -> TokenAutomaton:
    """The automaton of all token sequences that spell a text of `regex` (dialect: Rust's regex-automata).

    Raises `InvalidInput`: `CONTRACT_TOO_LARGE` above `max_states`, `CONTRACT_UNSUPPORTED` when the vocabulary cannot
    spell any text of the language.
    """
    edges = _export(_index(regex, vocabulary), vocabulary, max_states)
    distances = _distances(edges)
    if distances[0] == _UNREACHED:
        raise too_poor()
    edges, distances = _without_dead_ends(edges, distances)
    return TokenAutomaton(
        vocabulary_size=vocabulary.size,
        eos_id=vocabulary.eos_id,
        start=0,
        offsets=edges.offsets,
        tokens=edges.tokens,
        targets=edges.targets,
        distances=distances,
        slacks=_slacks(edges, distances),
        accepting=edges.accepting,
    )


def _index(regex: str, vocabulary: TokenVocabulary) -> outlines_core.Index:
    tokens: dict[bytes, list[int]] = {}
    for token, data in vocabulary.token_bytes.items():
        if _SENTINEL not in data:
            tokens.setdefault(data, []).append(token)
    tokens[_SENTINEL] = [vocabulary.size]
    # \z keeps every alternative alive to the end: the index takes the leftmost one otherwise, so a|ab loses "ab".
    expression = rf"\x00(?:{regex})\z"
    try:
        return outlines_core.Index(expression, outlines_core.Vocabulary(vocabulary.eos_id, tokens))
    except ValueError as err:
        if "DFA" in str(err):  # our expressions are well formed: what is left is the nesting limit of the regex parser
            raise too_large("is nested too deeply for one automaton") from err
        raise too_poor() from err


def too_poor() -> InvalidInput:
    """The refusal of a contract whose texts the base model cannot spell."""
    return InvalidInput(
        "CONTRACT_UNSUPPORTED",
        "No text of this contract can be spelled with the base model's tokens.",
        hint="Use a base model whose tokenizer holds all 256 byte tokens.",
        violations=[FieldViolation("contract", "Its texts need characters that the base model has no tokens for.")],
    )


def _export(index: outlines_core.Index, vocabulary: TokenVocabulary, max_states: int) -> _Edges:
    """Breadth-first copy of the index: 4.4 million transitions take 0.6 s row by row, and no memory beyond the rows.

    `get_transitions()` holds the same rows as nested Python dictionaries: 1.3 s and 430 MiB.
    """
    first = index.get_next_state(index.get_initial_state(), vocabulary.size)
    if first is None:
        raise too_poor()
    numbers: dict[int, int] = {first: 0}
    queue: list[int] = [first]
    tokens, targets, accepting = [], [], []
    for state in queue:  # grows while it is read
        accepting.append(bool(index.is_final_state(state)))
        row = np.array(sorted(t for t in index.get_allowed_tokens(state) if t < vocabulary.size), dtype=np.int32)
        row = row[row != vocabulary.eos_id]
        reached = [index.get_next_state(state, token) for token in row.tolist()]
        for target in reached:
            if target not in numbers:
                numbers[target] = len(queue)
                queue.append(target)
        if len(queue) > max_states:
            raise too_large(f"needs more than {max_states} states")
        tokens.append(row)
        targets.append(np.array([numbers[target] for target in reached], dtype=np.int32))
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in tokens], dtype=np.int64)])
    return _Edges(offsets, np.concatenate(tokens), np.concatenate(targets), np.array(accepting, dtype=np.bool_))


def _sources(edges: _Edges) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(edges.accepting), dtype=np.int64), np.diff(edges.offsets))


def _distances(edges: _Edges) -> NDArray[np.int32]:
    """Fewest tokens from each state to the end, stop token included: breadth-first over the reversed edges."""
    states = len(edges.accepting)
    # One edge per pair of states, sorted by target: the rows of the reversed graph.
    pairs = np.unique(edges.targets.astype(np.int64) * states + _sources(edges))
    sources = (pairs % states).astype(np.int32)
    offsets = np.searchsorted(pairs // states, np.arange(states + 1))
    distances = np.full(states, _UNREACHED, dtype=np.int32)
    frontier = np.flatnonzero(edges.accepting)
    level = 1
    while len(frontier):
        distances[frontier] = level
        rows = [sources[offsets[state] : offsets[state + 1]] for state in frontier]
        reached = np.unique(np.concatenate(rows))
        frontier = reached[distances[reached] == _UNREACHED]
        level += 1
    return distances


def _without_dead_ends(edges: _Edges, distances: NDArray[np.int32]) -> tuple[_Edges, NDArray[np.int32]]:
    """Drop states from which the vocabulary cannot spell an ending, and the edges into them."""
    alive = distances != _UNREACHED
    if alive.all():
        return edges, distances
    sources = _sources(edges)
    kept = alive[sources] & alive[edges.targets]
    numbers = (np.cumsum(alive) - 1).astype(np.int32)
    counts = np.bincount(numbers[sources[kept]], minlength=int(alive.sum()))
    offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    trimmed = _Edges(offsets, edges.tokens[kept], numbers[edges.targets[kept]], edges.accepting[alive])
    return trimmed, distances[alive]


def _slacks(edges: _Edges, distances: NDArray[np.int32]) -> NDArray[np.int32]:
    """Per state, the smallest `remaining` at which every edge still fits: the farthest next state plus this token."""
    slacks = np.ones(len(edges.accepting), dtype=np.int32)
    np.maximum.at(slacks, _sources(edges), distances[edges.targets] + 1)
    return slacks
