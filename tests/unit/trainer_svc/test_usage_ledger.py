"""What replicas report: what is believed, and how it adds up."""

from __future__ import annotations

import base64
import dataclasses
import itertools
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine

from shared.errors import InvalidInput
from shared.rpc.page import Page
from shared.usage import COUNTERS, UsageCounts
from trainer_svc.domain.usage_ledger import (
    MAX_COUNT,
    MAX_ENTRIES,
    ReportedUsage,
    UsagePeriod,
    check_report,
    check_report_size,
)
from trainer_svc.store import usage_ledger
from trainer_svc.store.table import metadata

Transact = Callable[[Callable[..., Any]], Any]
ALL = UsagePeriod()
ENTRY = ReportedUsage("answer", 1, 480_000, 1, UsageCounts(answered_requests=1))


def _entry(hour: int, requests: int, *, sequence: int = 1, adapter: str = "answer", revision: int = 1) -> ReportedUsage:
    return ReportedUsage(adapter, revision, hour, sequence, UsageCounts(answered_requests=requests))


class TestReport:
    """`check_report`."""

    @pytest.mark.parametrize("name", COUNTERS)
    def test_believes_no_negative_or_endless_counter(self, name: str) -> None:
        """But for what is saved: an adapter may write more, and its prompt may be the longer one."""
        for value in (-1, MAX_COUNT + 1, -MAX_COUNT - 1):
            counts = UsageCounts(**{"prompt_tokens": MAX_COUNT, name: value})
            if value == -1 and name.startswith("saved_"):
                check_report([dataclasses.replace(ENTRY, counts=counts)])
                continue
            with pytest.raises(InvalidInput) as caught:
                check_report([ENTRY, dataclasses.replace(ENTRY, hour=1, counts=counts)])
            assert {violation.path for violation in caught.value.violations} == {"entries[1].counts"}

    @pytest.mark.parametrize(
        ("changes", "path"),
        [
            ({"revision": 0}, "entries[0].revision_number"),
            ({"adapter": ""}, "entries[0].revision_number"),
            ({"revision": -1}, "entries[0].revision_number"),
            ({"revision": 10**9}, "entries[0].revision_number"),
            ({"hour": -1}, "entries[0].hour_time"),
            ({"sequence": 0}, "entries[0].sequence"),
            ({"counts": UsageCounts(prompt_tokens=1, cached_prompt_tokens=2)}, "entries[0].counts"),
        ],
    )
    def test_names_what_no_replica_counts(self, changes: dict[str, Any], path: str) -> None:
        """By its field."""
        with pytest.raises(InvalidInput) as caught:
            check_report([dataclasses.replace(ENTRY, **changes)])

        assert [violation.path for violation in caught.value.violations] == [path]

    @pytest.mark.parametrize("count", [0, MAX_ENTRIES + 1])
    def test_has_a_bound(self, count: int) -> None:
        """An empty one says nothing."""
        with pytest.raises(InvalidInput, match="entries: must be 1 to 1,000"):
            check_report_size(count)

    def test_counts_each_revision_and_hour_once(self) -> None:
        """Which of two would hold?"""
        with pytest.raises(InvalidInput, match="second one"):
            check_report([ENTRY, dataclasses.replace(ENTRY, sequence=2)])


class TestStoring:
    """`store_usage`."""

    def test_takes_the_newest_of_a_replica(self, transact: Transact) -> None:
        """A repeat, or an older report that comes late, changes nothing."""
        for requests, sequence in ((5, 3), (5, 3), (2, 1), (7, 9), (6, 8)):
            entry = _entry(4, requests, sequence=sequence)
            transact(lambda c, entry=entry: usage_ledger.store_usage(c, "acme", "a", [entry]))

        assert transact(lambda c: usage_ledger.sum_usage(c, "acme", "answer", None, ALL))[0].answered_requests == 7

    def test_adds_up_replicas_and_revisions(self, transact: Transact) -> None:
        """And no other tenant's, and no other adapter's."""
        for tenant, replica, entry in (
            ("acme", "a", _entry(4, 1)),
            ("acme", "b", _entry(4, 10)),
            ("acme", "a", _entry(9, 100, revision=2)),
            ("acme", "a", _entry(1, 1000, adapter="other")),
            ("acme", "a", _entry(1, 1000, adapter="", revision=0)),
            ("globex", "a", _entry(1, 1000)),
        ):
            transact(lambda c, t=tenant, r=replica, e=entry: usage_ledger.store_usage(c, t, r, [e]))

        def requests(revision: int | None, period: UsagePeriod) -> tuple[int, int | None, int | None]:
            counts, first, last = transact(lambda c: usage_ledger.sum_usage(c, "acme", "answer", revision, period))
            return counts.answered_requests, first, last

        assert requests(None, ALL) == (111, 4, 9)
        assert requests(1, ALL) == (11, 4, 4)
        assert requests(None, UsagePeriod(5, 10)) == (100, 9, 9)
        assert requests(None, UsagePeriod(4, 9)) == (11, 4, 4)
        assert requests(3, ALL) == (0, None, None)

    @given(st.permutations([(sequence, replica) for sequence in (1, 2, 3) for replica in "ab"]), st.integers(0, 5))
    def test_ends_the_same_in_every_order(self, reports: list[tuple[int, str]], repeated: int) -> None:
        """Counters are absolute, and the last word is that of the highest sequence."""
        engine = create_engine("sqlite://")
        with engine.begin() as connection:
            metadata.create_all(connection)
            for sequence, replica in [*reports, reports[repeated]]:
                entry = _entry(4, sequence * (10 if replica == "a" else 1), sequence=sequence)
                usage_ledger.store_usage(connection, "acme", replica, [entry])
            counts, _, _ = usage_ledger.sum_usage(connection, "acme", "answer", None, ALL)
        engine.dispose()

        assert counts.answered_requests == 33


class TestListing:
    """`list_usage`."""

    @pytest.mark.parametrize(("hours", "size"), [*itertools.product((1, 24), (1, 2, 3, 100))])
    def test_pages_through_everything_once(self, transact: Transact, hours: int, size: int) -> None:
        """By time, adapter and revision, whatever the size of a page; the base model first."""
        entries = [
            _entry(hour, 10**revision, adapter=adapter, revision=revision)
            for hour in (0, 1, 23, 24, 47, 48)
            for adapter, revision in (("", 0), ("answer", 1), ("answer", 2), ("b", 1))
        ]
        transact(lambda c: usage_ledger.store_usage(c, "acme", "a", entries))
        expected: dict[tuple[int, str, int], int] = {}
        for entry in entries:
            key = (entry.hour - entry.hour % hours, entry.adapter, entry.revision)
            expected[key] = expected.get(key, 0) + entry.counts.answered_requests

        found, token = [], ""
        while True:
            page = Page.parse(size, token)
            some, token = transact(lambda c, p=page: usage_ledger.list_usage(c, "acme", "", ALL, hours, p))
            assert len(some) <= size
            found += some
            if not token:
                break

        assert [(each.hour, each.adapter, each.revision) for each in found] == sorted(expected)
        assert [each.counts.answered_requests for each in found] == [expected[key] for key in sorted(expected)]

    def test_is_of_one_adapter_and_period_where_asked(self, transact: Transact) -> None:
        """Hours at its end are outside."""
        entries = [_entry(hour, 1, adapter=adapter) for hour in (4, 5, 6) for adapter in ("answer", "b")]
        transact(lambda c: usage_ledger.store_usage(c, "acme", "a", entries))

        found, _ = transact(lambda c: usage_ledger.list_usage(c, "acme", "b", UsagePeriod(4, 6), 1, Page(50, "")))

        assert [(each.hour, each.adapter) for each in found] == [(4, "b"), (5, "b")]

    @pytest.mark.parametrize("hours", [1, 24])
    def test_costs_no_more_with_a_longer_history(self, hours: int) -> None:
        """A page adds up what it shows, wherever it is: steps of the database's machine, at 600 days and at 60."""
        engine, steps = create_engine("sqlite://"), list[int]()
        with engine.begin() as connection:
            metadata.create_all(connection)
            for days in (60, 600):
                entries = [_entry(24 * day + hour, 1) for day in range(days) for hour in (0, 5, 9)]
                usage_ledger.store_usage(connection, f"t{days}", "a", entries)
                middle = base64.urlsafe_b64encode(f"{24 * days // 2}/answer/1".encode()).decode()
                for token in ("", middle):
                    counted: list[None] = []
                    raw = connection.connection.driver_connection
                    assert isinstance(raw, sqlite3.Connection)
                    raw.set_progress_handler(lambda counted=counted: counted.append(None), 1)
                    usage_ledger.list_usage(connection, f"t{days}", "", ALL, hours, Page.parse(2, token))
                    raw.set_progress_handler(None, 1)
                    steps.append(len(counted))
        engine.dispose()

        short_first, short_middle, long_first, long_middle = steps
        assert long_first < 2 * short_first
        assert long_middle < 2 * short_middle

    @pytest.mark.parametrize("after", ["x", "1/a", "1/a/b", "-1/a/1", "1/a/1/1", "9999999999/a/1", "²/a/1"])
    def test_refuses_the_token_of_another_list(self, transact: Transact, after: str) -> None:
        """It names the field."""
        with pytest.raises(InvalidInput, match="page_token"):
            transact(lambda c: usage_ledger.list_usage(c, "acme", "", ALL, 1, Page(50, after)))


class TestRate:
    """What the present rate is made of."""

    def test_knows_the_first_answer_and_those_by_hour(self, transact: Transact) -> None:
        """A request that failed is no first one."""
        failed = ReportedUsage("answer", 1, 3, 1, UsageCounts(failed_requests=1))
        transact(lambda c: usage_ledger.store_usage(c, "acme", "a", [failed, _entry(5, 2), _entry(5, 3, revision=2)]))

        assert transact(lambda c: usage_ledger.first_answered_hour(c, "acme", "answer", None)) == 5
        assert transact(lambda c: usage_ledger.answered_by_hour(c, "acme", "answer", None, UsagePeriod(4))) == {5: 5}
        assert transact(lambda c: usage_ledger.answered_by_hour(c, "acme", "answer", 2, UsagePeriod(4))) == {5: 3}
        assert transact(lambda c: usage_ledger.first_answered_hour(c, "acme", "none", None)) is None
