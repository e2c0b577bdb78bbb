"""Which rows are held out: clusters whole, chosen by a seed."""

from __future__ import annotations

import functools
import hashlib
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from collections.abc import Set as AbstractSet

from trainer_svc.curation.likeness import normal
from trainer_svc.domain.dataset import CheckedRow

HOLDOUT_RATIO = 0.1


def split_by_cluster(
    rows: Sequence[CheckedRow], clusters: Sequence[int], seed: int
) -> tuple[list[CheckedRow], list[CheckedRow]]:
    """Train and holdout rows, in their order: a tenth is held out, clusters whole where that can be had.

    Clusters come by a seeded hash, so that the order of rows does not matter; one that takes more than is left of the
    tenth is passed over. Where that holds out less than half of a tenth, since most rows are in a few large clusters,
    rows with equal inputs are what stays whole. Rows with one input all are trained on.
    """
    inputs = [normal(row.input) for row in rows]
    wanted = max(1, round(len(rows) * HOLDOUT_RATIO))
    held: set[int] = set()
    equal = _groups(inputs)
    for groups in (_groups(clusters), equal):
        held = _draw(groups, inputs, wanted, seed, held)
        if 2 * len(held) >= wanted:
            break
    if not held and len(equal) > 1:
        held.update(min(equal, key=functools.partial(_size, inputs, seed)))
    train = [row for place, row in enumerate(rows) if place not in held]
    return train, [row for place, row in enumerate(rows) if place in held]


def set_aside(rows: Sequence[CheckedRow], clusters: Sequence[int], wanted: int, seed: int) -> set[int]:
    """Places of at most `wanted` golden rows, drawn as those of a holdout are.

    Clusters are whole always, and one in which a teacher labelled a row stays: its answers are no measure.
    """
    groups = [group for group in _groups(clusters) if not any(rows[place].synthetic for place in group)]
    return _draw(groups, [normal(row.input) for row in rows], wanted, seed, set())


def _draw(
    groups: Sequence[Sequence[int]], inputs: Sequence[str], wanted: int, seed: int, held: AbstractSet[int]
) -> set[int]:
    """Places held, with those of groups as they come by a seeded hash; one that no longer fits is passed over."""
    drawn = set(held)
    for places in sorted(groups, key=lambda places: _key(min(inputs[place] for place in places), seed)):
        if places[0] not in drawn and len(drawn) + len(places) <= wanted and len(groups) > 1:
            drawn.update(places)
    return drawn


def _size(inputs: Sequence[str], seed: int, places: Sequence[int]) -> tuple[int, str]:
    """By which equal inputs are told apart, and those of one size by the seeded hash."""
    return len(places), _key(inputs[places[0]], seed)


def _groups(labels: Iterable[Hashable]) -> list[list[int]]:
    """Places with the same label."""
    groups: defaultdict[Hashable, list[int]] = defaultdict(list)
    for place, label in enumerate(labels):
        groups[label].append(place)
    return list(groups.values())


def _key(text: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}\n{text}".encode(errors="surrogatepass")).hexdigest()
