"""Which rows of a report belong together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_NAMED_CLUSTERS, _NAMED_ROWS = 10, 10
"""On a screen; the JSON has all that are listed."""


def clusters_of(groups: Iterable[Iterable[int]]) -> list[list[int]]:
    """Rows that groups connect, in rising order, by their first; a group of one row connects nothing."""
    clusters: dict[int, set[int]] = {}
    for group in groups:
        rows = set(group)
        if len(rows) < 2:
            continue
        known = {id(clusters[row]): clusters[row] for row in rows if row in clusters}
        largest = max(known.values(), key=len, default=rows)
        for joined in (rows, *known.values()):
            if joined is not largest:  # each row moves into a cluster twice as large: seldom
                largest |= joined
                clusters.update(dict.fromkeys(joined, largest))
        clusters.update(dict.fromkeys(rows, largest))
    return sorted(sorted(cluster) for cluster in {id(cluster): cluster for cluster in clusters.values()}.values())


def named_clusters(clusters: Sequence[Sequence[int]]) -> str:
    """The first of them for people: 3 + 9 + 12, 5 + 7."""
    named = [
        " + ".join(map(str, cluster[:_NAMED_ROWS]))
        + (f" + {len(cluster) - _NAMED_ROWS:,} more" if len(cluster) > _NAMED_ROWS else "")
        for cluster in clusters[:_NAMED_CLUSTERS]
    ]
    more = f" and {len(clusters) - _NAMED_CLUSTERS:,} more" if len(clusters) > _NAMED_CLUSTERS else ""
    return ", ".join(named) + more
