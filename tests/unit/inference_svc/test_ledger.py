"""The ledger of one replica, and what a trainer makes of its reports."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from inference_svc.domain.ledger import Ledger, UsageEntry, UsageKey
from shared.usage import UsageCounts

ONE = UsageCounts(answered_requests=1, prompt_tokens=10)


def _ids() -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"replica-{next(numbers)}"


def _key(hour: int = 5, tenant: str = "acme", adapter: str = "answer") -> UsageKey:
    return UsageKey("", tenant, adapter, 1 if adapter else 0, hour)


class Trainer:
    """What `trainer_svc.store.usage_ledger` does, in one line."""

    def __init__(self) -> None:
        self.kept: dict[UsageKey, UsageEntry] = {}

    def take(self, entries: list[UsageEntry]) -> None:
        """Absolute counters; an older sequence changes nothing."""
        for entry in entries:
            if entry.key not in self.kept or entry.sequence > self.kept[entry.key].sequence:
                self.kept[entry.key] = entry

    @property
    def requests(self) -> int:
        """Of all replicas."""
        return sum(entry.counts.answered_requests for entry in self.kept.values())


class TestCounting:
    """What goes together."""

    def test_adds_up_by_tenant_adapter_revision_and_hour(self) -> None:
        """And by nothing else."""
        ledger = Ledger(_ids())
        keys = [_key(), _key(), _key(hour=6), _key(tenant="globex"), _key(adapter="")]
        for key in keys:
            ledger.count(key, ONE)

        found = {(e.key.tenant, e.key.adapter, e.key.hour): e.counts.answered_requests for e in ledger.entries()}
        assert found == Counter((key.tenant, key.adapter, key.hour) for key in keys)

    def test_has_a_bound(self) -> None:
        """What has no room is told; what has a line already is counted on."""
        ledger = Ledger(_ids(), max_entries=2)
        for hour in (1, 2, 3, 2):
            ledger.count(_key(hour), ONE)

        assert [entry.counts.answered_requests for entry in ledger.entries()] == [1, 2]
        assert ledger.lost_requests == 1


class TestReporting:
    """What is told, and when it is forgotten."""

    def test_tells_what_changed_with_a_higher_sequence(self) -> None:
        """And nothing that was told already."""
        ledger = Ledger(_ids())
        ledger.count(_key(), ONE)
        first = ledger.unreported()
        ledger.settle(first)
        assert ledger.unreported() == []

        ledger.count(_key(), ONE)
        (again,) = ledger.unreported()
        assert again.counts == ONE + ONE
        assert again.sequence > first[0].sequence

    def test_tells_again_what_changed_while_it_was_told(self) -> None:
        """An answer to an older report settles nothing newer."""
        ledger = Ledger(_ids())
        ledger.count(_key(), ONE)
        told = ledger.unreported()
        ledger.count(_key(), ONE)
        ledger.settle(told)

        assert [entry.counts.answered_requests for entry in ledger.unreported()] == [2]

    def test_keeps_the_present_hour_and_what_is_untold(self) -> None:
        """The one may grow, the other is nowhere else."""
        ledger = Ledger(_ids())
        for hour in (5, 6):
            ledger.count(_key(hour), ONE)
        ledger.settle(ledger.unreported())
        ledger.count(_key(4), ONE)
        ledger.forget(6)

        assert [entry.key.hour for entry in ledger.entries()] == [6, 4]

    def test_counts_under_a_new_id_when_the_clock_is_set_back_into_a_forgotten_hour(self) -> None:
        """Counters that begin at 0 again would take the place of those that the trainer has."""
        ledger, trainer = Ledger(_ids()), Trainer()
        for hour in (5, 6, 5):
            ledger.count(_key(hour), ONE)
            trainer.take(ledger.unreported())
            ledger.settle(ledger.unreported())
            ledger.forget(hour)

        assert trainer.requests == 3


class Life(RuleBasedStateMachine):
    """A replica that counts, saves, reports, is killed, and whose clock is set at will."""

    def __init__(self) -> None:
        super().__init__()
        self.ids, self.trainer, self.hour = _ids(), Trainer(), 100
        self.ledger = Ledger(self.ids)
        self.saved: list[UsageEntry] = []
        self.counted = 0
        self.at_risk = 0
        """Requests since the last save: what a kill may lose."""
        self.may_be_lost = 0

    @rule(tenant=st.sampled_from(["acme", "globex"]))
    def count(self, tenant: str) -> None:
        """A request is answered."""
        self.ledger.count(_key(self.hour, tenant), ONE)
        self.counted += 1
        self.at_risk += 1

    @rule(hours=st.integers(-2, 2))
    def move_clock(self, hours: int) -> None:
        """Forth and back."""
        self.hour += hours

    @rule()
    def save(self) -> None:
        """The file has all that is known."""
        self.saved, self.at_risk = self.ledger.entries(), 0

    @rule(arrives=st.booleans(), is_answered=st.booleans())
    def report(self, *, arrives: bool, is_answered: bool) -> None:
        """A report may get lost, and so may its answer."""
        told = self.ledger.unreported()
        if arrives:
            self.trainer.take(told)
        if arrives and is_answered:
            self.ledger.settle(told)
            self.ledger.forget(self.hour)

    @rule()
    def kill(self) -> None:
        """The next process has the file, and nothing else."""
        self.may_be_lost += self.at_risk
        self.at_risk = 0
        self.ledger = Ledger(self.ids)
        self.ledger.take_up(self.saved)

    @invariant()
    def nothing_is_counted_twice(self) -> None:
        """The trainer never has more than there was."""
        assert self.trainer.requests <= self.counted

    @invariant()
    def all_but_what_was_not_saved_arrives(self) -> None:
        """As soon as a report comes through, whatever happened before."""
        known = Trainer()
        known.kept = dict(self.trainer.kept)
        known.take(self.ledger.unreported())
        assert self.counted - self.may_be_lost <= known.requests <= self.counted


Life.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestLife = Life.TestCase
