"""Who makes room in a full engine."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_svc.domain import eviction
from inference_svc.domain.eviction import Warmth, warmed
from inference_svc.domain.residency import Resident
from shared.names import RevisionName
from tests.bench.eviction import VICTIM, Trace, replay, traces


def resident(tenant: str, adapter: str = "a") -> Resident:
    """A revision that nobody watches."""
    return Resident(RevisionName(tenant, adapter, 1), "", lambda *_: None)


class TestWarmed:
    """Uses, aged."""

    @given(st.sets(st.integers(1, 500), min_size=1), st.floats(0.1, 1000))
    def test_is_the_sum_of_all_uses_each_counting_half_after_a_half_life(
        self, uses: set[int], half_life: float
    ) -> None:
        """LRFU's combined recency and frequency, at the time of the last use."""
        warmth, last = -math.inf, max(uses)
        for use in sorted(uses):
            warmth = warmed(warmth, use, half_life)

        assert 2 ** (warmth - last / half_life) == pytest.approx(sum(2 ** ((use - last) / half_life) for use in uses))

    def test_counts_billions_of_uses(self) -> None:
        """Neither overflows nor loses a use."""
        once = warmed(-math.inf, 10**12, 128)

        assert warmed(once, 10**12, 128) == pytest.approx(once + 1)


def leaver(policy: Warmth, among: list[Resident], coming: Resident | None = None) -> Resident:
    """Who makes room for a newcomer, by default of another tenant than all who are inside."""
    return policy.whose_turn_it_is(among, among, coming or resident("newcomer"))


class TestWarmth:
    """The coldest goes."""

    def test_the_one_used_longest_ago(self) -> None:
        """Of adapters of one tenant that were used as often."""
        warmth, (first, second) = Warmth(2), (resident("t", "a"), resident("t", "b"))
        for each in (first, second):
            warmth.note_use(each)

        assert leaver(warmth, [second, first]) is first

    def test_what_was_never_used_goes_before_all_that_was(self) -> None:
        """A wrong guess makes room first; of several the one that came first."""
        warmth, used = Warmth(4), resident("t", "a")
        guesses = [resident("u", "b"), resident("v", "c")]
        untouched = leaver(warmth, guesses)
        warmth.note_use(used)

        assert untouched is guesses[0]
        assert leaver(warmth, [used, *guesses]) is guesses[0]

    def test_one_use_does_not_outweigh_many(self) -> None:
        """What passes through leaves again before what is used all the time."""
        warmth, often, once = Warmth(4), resident("t", "a"), resident("t", "b")
        for _ in range(5):
            warmth.note_use(often)
        warmth.note_use(once)

        assert leaver(warmth, [often, once]) is once

    def test_a_tenants_own_requests_count_less_the_more_it_has(self) -> None:
        """A tenth of a busy tenant's thousand requests are worth less than all of a quiet one's fifty."""
        warmth, quiet = Warmth(16), resident("quiet")
        busy = [resident("busy", f"a{number}") for number in range(10)]
        for number in range(1000):
            warmth.note_use(busy[number % 10])
            if number % 20 == 0:
                warmth.note_use(quiet)

        assert quiet.warmth < min(each.warmth for each in busy)
        assert leaver(warmth, [quiet, *busy]) in busy

    def test_who_has_its_share_takes_none_from_who_has_no_more(self) -> None:
        """However cold that is by now, if it was used again since it came in; a newcomer with less may take it."""
        warmth, (once, again) = Warmth(4), (resident("quiet", "a"), resident("quiet", "b"))
        busy = [resident("busy", f"a{number}") for number in range(2)]
        for each, uses in ((again, 2), (once, 1), (busy[0], 200), (busy[1], 200)):
            for _ in range(uses):
                warmth.note_use(each)
            each.uses = uses
        greedy = resident("busy", "a2")

        assert leaver(warmth, [once, again, *busy], greedy) is once
        assert leaver(warmth, [again, *busy], greedy) in busy
        assert leaver(warmth, [again, *busy]) is again

    def test_pinned_adapters_weigh_on_nobody(self) -> None:
        """However much they are used, the tenant's others are worth what they were."""
        warmth, pinned, other, rival = Warmth(4), resident("t", "p"), resident("t", "a"), resident("u", "b")
        pinned.is_pinned = True
        for each in (rival, other, *itertools.repeat(pinned, 20)):
            warmth.note_use(each)

        assert leaver(warmth, [other, rival]) is rival

    def test_forgets_tenants_who_went_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Memory follows those who are here, not those who ever came."""
        monkeypatch.setattr(eviction, "_SWEEP_TENANTS", 10)
        warmth = Warmth(1)
        for number in range(5_000):
            warmth.note_use(resident(f"t{number}"))

        assert len(warmth._tenants) < 2 * 8 * 40 + 10


@pytest.mark.asyncio
class TestNeighbours:
    """What tenants on one engine feel of each other, through the real places."""

    async def test_a_tenant_in_turn_through_hundreds_harms_nobody(self) -> None:
        """Who comes back to a dozen adapters keeps them, although each gets a twelfth of half of the requests."""
        rates = await replay(traces(6_000)["cycling_neighbour"], Warmth(16))

        assert rates[VICTIM] > 0.95

    async def test_a_tenant_with_fifty_times_the_requests_leaves_a_quiet_one_most_hits(self) -> None:
        """By requests alone the quiet tenant would have next to none."""
        rates = await replay(traces()["flooding_neighbour"], Warmth(16))

        assert rates[VICTIM] > 0.9

    async def test_what_is_popular_stays_through_what_is_not(self) -> None:
        """Half as many again find their adapter as with the least recently used going first, of ever new favourites."""
        shifting = traces(6_000)["zipf_shifting"]

        assert (await replay(shifting, Warmth(16)))[""] > 1.25 * (await replay(shifting, _Lru()))[""]

    async def test_a_working_set_that_fits_is_never_evicted(self) -> None:
        """After its first use everything is found, in whatever order it is asked for."""
        rng = random.Random(0)
        trace: Trace = [(f"t{number % 5}", f"a{number}") for number in (rng.randrange(16) for _ in range(2_000))]

        assert (await replay(trace, Warmth(16)))[""] == (2_000 - 16) / 2_000


class _Lru:
    """Implements `EvictionPolicy`: the least recently used."""

    def __init__(self) -> None:
        self._uses = itertools.count()

    def note_use(self, resident: Resident) -> None:
        """Now."""
        resident.warmth = next(self._uses)

    def whose_turn_it_is(self, among: Sequence[Resident], inside: Sequence[Resident], coming: Resident) -> Resident:
        """The oldest."""
        return min(among, key=lambda resident: resident.warmth)
