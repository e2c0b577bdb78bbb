"""Leaves of two JSON values side by side: which match, and which were omitted, invented or mismatched."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from shared.contracts.json_schema.keywords import escape
from trainer_svc.domain.row_score import FieldCount
from trainer_svc.evaluation.tree import Tree

_MAX_CELLS = 10_000
"""Pairs of items that are weighed for one answer, about 0.1 s; lists beyond are paired in their order."""
_MATCH = 1 << 20
"""What a match weighs against a mismatch: more than all mismatches of an answer together."""


def count_fields(golden: Tree | None, generated: Tree | None) -> tuple[FieldCount, ...]:
    """Scalar leaves by path, sorted; None is a text that is no JSON, and has none.

    Objects are compared by key. Items of lists are paired so that the most leaves match, of these so that the most
    others stand at a path that both have; the order of a list does not count. A leaf where the other value has an
    object or a list is omitted or invented, as are all leaves of an item without a partner.
    """
    counter = _FieldCounter()
    counter.count(golden, generated, "")
    return tuple(
        FieldCount(path, **{fate: found[fate] for fate in sorted(found)})
        for path, found in sorted(counter.found.items())
    )


class _FieldCounter:
    def __init__(self) -> None:
        self.found: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._aligner = _Aligner()

    def count(self, golden: Tree | None, generated: Tree | None, path: str) -> None:
        match golden, generated:
            case dict(), dict():
                for key in golden | generated:
                    self.count(golden.get(key), generated.get(key), f"{path}/{escape(key)}")
            case list(), list():
                for pair in self._aligner.pairs(golden, generated):
                    self.count(*pair, f"{path}/-")
            case str(), str():
                self.found[path]["matched" if golden == generated else "mismatched"] += 1
            case _:
                self._count_lone(golden, path, "omitted")
                self._count_lone(generated, path, "invented")

    def _count_lone(self, tree: Tree | None, path: str, fate: str) -> None:
        match tree:
            case dict():
                for key, inner in tree.items():
                    self._count_lone(inner, f"{path}/{escape(key)}", fate)
            case list():
                for inner in tree:
                    self._count_lone(inner, f"{path}/-", fate)
            case str():
                self.found[path][fate] += 1


class _Aligner:
    """Pairs items of lists, by the Hungarian method on what their leaves have in common."""

    def __init__(self) -> None:
        self._cells_left = _MAX_CELLS
        self._weights: dict[tuple[int, int], int] = {}
        """By the two trees' `id`: both live as long as the comparison does."""

    def pairs(self, golden: list[Tree], generated: list[Tree]) -> list[tuple[Tree | None, Tree | None]]:
        """Each item of both lists once, with None where it has no partner.

        Equal items are partners at once: by the triangle inequality of the number of differing leaves that loses
        nothing.
        """
        equal, left, others = _take_equal(golden, generated)
        pairs: list[tuple[Tree | None, Tree | None]] = [(item, item) for item in equal]
        for kind in (str, list, dict):
            rows = [item for item in left if isinstance(item, kind)]
            columns = [item for item in others if isinstance(item, kind)]
            partners = self._partners(rows, columns)
            pairs += ((rows[row], columns[column]) for row, column in partners.items())
            pairs += ((item, None) for index, item in enumerate(rows) if index not in partners)
            taken = set(partners.values())
            pairs += ((None, item) for index, item in enumerate(columns) if index not in taken)
        return pairs

    def _partners(self, rows: Sequence[Tree], columns: Sequence[Tree]) -> dict[int, int]:
        cells = len(rows) * len(columns)
        scalars = bool(rows) and isinstance(rows[0], str)
        if scalars or cells <= 1 or cells > self._cells_left:
            return {index: index for index in range(min(len(rows), len(columns)))}
        self._cells_left -= cells
        weights = np.array([[self._weight(row, column) for column in columns] for row in rows], dtype=np.float64)
        chosen = zip(*linear_sum_assignment(weights, maximize=True), strict=True)
        return {int(row): int(column) for row, column in chosen}

    def _weight(self, golden: Tree, generated: Tree) -> int:
        """`_MATCH` for each leaf that matches, 1 for each that stands at the same path with another value."""
        key = id(golden), id(generated)
        if key not in self._weights:
            self._weights[key] = sum(self._parts(golden, generated))
        return self._weights[key]

    def _parts(self, golden: Tree, generated: Tree) -> Iterator[int]:
        match golden, generated:
            case dict(), dict():
                for name in golden.keys() & generated.keys():
                    yield self._weight(golden[name], generated[name])
            case list(), list():
                for one, other in self.pairs(golden, generated):
                    if one is not None and other is not None:
                        yield self._weight(one, other)
            case str(), str():
                yield _MATCH if golden == generated else 1


def _take_equal(golden: list[Tree], generated: list[Tree]) -> tuple[list[Tree], list[Tree], list[Tree]]:
    """The items that both lists have, and what is left of each, in order."""
    spelled = [json.dumps(item, sort_keys=True) for item in generated]
    waiting = Counter(spelled)
    equal, left = [], []
    for item in golden:
        text = json.dumps(item, sort_keys=True)
        if waiting[text]:
            waiting[text] -= 1
            equal.append(item)
        else:
            left.append(item)
    others = []
    for item, text in zip(generated, spelled, strict=True):
        if waiting[text]:
            waiting[text] -= 1
            others.append(item)
    return equal, left, others
