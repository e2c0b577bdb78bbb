"""Label values of metrics that tenants choose, kept within bounds."""

from __future__ import annotations

from collections import Counter

OTHER = "_other"
"""Stands for what found no place of its own; never a resource id, which begins with a letter."""


class BoundedLabels:
    """Pairs of tenant and adapter as label values: `limit` of them in all, `share` of any one tenant.

    Each pair is a handful of time series in this process and in every Prometheus that scrapes it, for as long as the
    process lives, and tenants create adapters as they please. First come, first served, and what is answered for a pair
    never changes: a counter that moved to another series would count twice. A tenant beyond its share goes on under
    `(tenant, OTHER)`, everybody beyond the limit under `(OTHER, OTHER)`.
    """

    def __init__(self, *, limit: int, share: int) -> None:
        assert limit >= 1, "the pair (OTHER, OTHER) needs a place"
        self._limit, self._share = limit, share
        self._known = {(OTHER, OTHER)}
        self._taken: Counter[str] = Counter()

    def of(self, tenant: str, adapter: str) -> tuple[str, str]:
        """The pair to label with."""
        own, rest = (tenant, adapter), (tenant, OTHER)
        if own in self._known or self._take(own, self._share - 1):  # the last place of a share is for `rest`
            return own
        if rest in self._known or self._take(rest, self._share):
            return rest
        return (OTHER, OTHER)

    def _take(self, pair: tuple[str, str], share: int) -> bool:
        tenant = pair[0]
        if len(self._known) >= self._limit or self._taken[tenant] >= share:
            return False
        self._known.add(pair)
        self._taken[tenant] += 1
        return True
