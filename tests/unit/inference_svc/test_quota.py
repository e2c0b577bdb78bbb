"""What one tenant may use."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_svc.app.quota_book import QuotaFile
from inference_svc.config import Settings
from inference_svc.domain.quota import Account, Quota, TokenBucket
from shared.errors import Exhausted, InvalidInput
from shared.names import AliasName

DEFAULTS = Quota(requests_per_second=10)


def refusal_of(take: Callable[[], None]) -> Exhausted | None:
    """What taking is refused with; None when it was taken."""
    try:
        take()
    except Exhausted as err:
        return err
    return None


def tokens_refused(account: Account, tokens: int, now: float) -> Exhausted | None:
    """Takes tokens, or says why not."""
    return refusal_of(lambda: account.take_tokens(tokens, now))


class TestTokenBucket:
    """A rate with a burst."""

    @given(
        st.floats(0.1, 100),
        st.floats(1, 100),
        st.lists(st.tuples(st.floats(0, 5), st.floats(0, 300)), max_size=40),
    )
    def test_never_lets_more_through_than_rate_and_burst(
        self, rate: float, capacity: float, asked: list[tuple[float, float]]
    ) -> None:
        """In any time the amount is at most the capacity, the rate's worth, and one request that was larger."""
        now = taken = largest = 0.0
        bucket = TokenBucket(rate, capacity, now)
        for pause, amount in asked:
            now += pause
            if bucket.seconds_until(amount, now) == 0:
                bucket.take(amount)
                taken += amount
                largest = max(largest, amount)

        assert taken <= capacity + rate * now + largest + 1e-6

    @given(st.floats(0.1, 100), st.floats(1, 100), st.floats(0, 300), st.floats(0, 300))
    def test_says_when_honestly(self, rate: float, capacity: float, first: float, second: float) -> None:
        """A request gets through at the time it was told, and not well before."""
        bucket = TokenBucket(rate, capacity, 0.0)
        bucket.take(first)
        wait = bucket.seconds_until(second, 0.0)

        assert bucket.seconds_until(second, 0.99 * wait - 1e-9) > 0 or wait < 1e-6
        assert bucket.seconds_until(second, wait * (1 + 1e-9) + 1e-6) == 0

    def test_a_clock_that_is_set_back_costs_nothing(self) -> None:
        """It fills on from the new time."""
        bucket = TokenBucket(1.0, 1.0, now=1000.0)
        bucket.take(1.0)
        assert bucket.seconds_until(1.0, 10.0) == 1.0

        assert bucket.seconds_until(1.0, 11.0) == 0

    def test_an_infinite_rate_lets_everything_through(self) -> None:
        """For ever."""
        bucket = TokenBucket(math.inf, math.inf, 0.0)
        bucket.take(1e12)

        assert bucket.seconds_until(1e12, 0.0) == 0
        assert bucket.is_full(0.0)


class TestAccount:
    """What a tenant has used."""

    def test_refuses_requests_by_the_name_of_the_rate_and_says_when(self) -> None:
        """One second's worth at once; then the time until the next."""
        account = Account(Quota(requests_per_second=2), 0.0)
        assert [refusal_of(lambda: account.take_request(0.0)) for _ in range(2)] == [None, None]

        error = refusal_of(lambda: account.take_request(0.0))

        assert error is not None
        assert error.reason == "QUOTA_EXCEEDED"
        assert error.metadata == {"quota": "requests_per_second", "limit": "2"}
        assert error.retry_after_seconds == pytest.approx(0.5)
        assert refusal_of(lambda: account.take_request(0.5)) is None

    def test_refuses_tokens_by_what_the_request_is_expected_to_cost(self) -> None:
        """Who is refused has used up nothing: a request that costs less still passes."""
        account = Account(Quota(tokens_per_minute=600), 0.0)
        assert tokens_refused(account, 500, 0.0) is None

        error = tokens_refused(account, 200, 1.0)

        assert error is not None
        assert error.metadata == {"quota": "tokens_per_minute", "limit": "600", "expected_tokens": "200"}
        assert error.retry_after_seconds == pytest.approx(9.0)
        assert tokens_refused(account, 100, 1.0) is None

    def test_charges_what_was_used_in_place_of_what_was_expected(self) -> None:
        """An answer that was shorter leaves more for the next; one that was longer, less."""
        account = Account(Quota(tokens_per_minute=600), 0.0)
        account.take_tokens(600, 0.0)
        account.settle(600, 100)
        assert tokens_refused(account, 500, 0.0) is None
        account.settle(500, 700)

        error = tokens_refused(account, 10, 0.0)

        assert error is not None
        assert error.retry_after_seconds == pytest.approx(21.0)

    def test_a_request_larger_than_a_minutes_tokens_needs_them_all(self) -> None:
        """It is not refused for ever: it gets through when nothing else is owed, and then owes."""
        account = Account(Quota(tokens_per_minute=600), 0.0)
        assert tokens_refused(account, 1800, 0.0) is None

        error = tokens_refused(account, 1, 0.0)

        assert error is not None
        assert error.retry_after_seconds == pytest.approx(120.1)

    def test_a_changed_rate_begins_with_a_full_bucket_and_others_go_on(self) -> None:
        """A larger quota helps at once; what was used of another one stays used."""
        account = Account(Quota(requests_per_second=1, tokens_per_minute=600), 0.0)
        assert tokens_refused(account, 600, 0.0) is None
        account.change(Quota(requests_per_second=5, tokens_per_minute=600), 0.0)

        error = tokens_refused(account, 60, 0.0)

        assert error is not None
        assert error.metadata["quota"] == "tokens_per_minute"


class TestQuota:
    """The limits themselves."""

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("weight", 0.0),
            ("weight", math.inf),
            ("requests_per_second", -1.0),
            ("requests_per_second", math.nan),
            ("tokens_per_minute", 0.0),
            ("running_requests", 1.5),
            ("waiting_requests", 0.5),
        ],
    )
    def test_serve_somebody(self, field: str, value: float) -> None:
        """What would serve nobody or mean nothing is refused by its name."""
        with pytest.raises(InvalidInput) as caught:
            Quota(**{field: value})

        assert [violation.path for violation in caught.value.violations] == [field]

    def test_of_the_settings_name_the_settings(self, tmp_path: Path) -> None:
        """An operator reads the name that was typed."""
        with pytest.raises(InvalidInput, match="tenant_requests_per_second: must be above 0, got -1"):
            Settings(base_model_dir=tmp_path, registry="127.0.0.1:1", tenant_requests_per_second=-1)


class TestQuotaFile:
    """The operator's file."""

    def test_holds_defaults_and_tenants_over_the_settings(self, tmp_path: Path) -> None:
        """Field by field: the tenant's own, else the file's default, else the setting."""
        path = tmp_path / "quotas.toml"
        path.write_text(
            "[default]\nwaiting_requests = 5\n[tenants.acme]\nweight = 2\nrequests_per_second = inf\n[tenants.umbra]\n"
        )

        quotas = QuotaFile(path, DEFAULTS)

        assert quotas.of("acme") == Quota(weight=2, requests_per_second=math.inf, waiting_requests=5)
        assert quotas.of("umbra") == quotas.of("nobody") == Quota(requests_per_second=10, waiting_requests=5)

    def test_may_be_json(self, tmp_path: Path) -> None:
        """By its suffix."""
        path = tmp_path / "quotas.json"
        path.write_text(json.dumps({"tenants": {"acme": {"tokens_per_minute": 1000, "requests_per_second": math.inf}}}))

        assert QuotaFile(path, DEFAULTS).of("acme") == Quota(tokens_per_minute=1000)

    @pytest.mark.parametrize(
        ("text", "paths"),
        [
            ("[tenants.acme]\nweigth = 2", ["tenants.acme.weigth"]),
            (
                "[tenants.acme]\nweight = -1\n[default]\nrunning_requests = true",
                ["default.running_requests", "tenants.acme.weight"],
            ),
            ("[tenants.acme]\nweight = -1\n[tenants.b]\nweight = '2'", ["tenants.acme.weight", "tenants.b.weight"]),
            ("[tenants.Acme]\n", ["tenants.Acme"]),
            ("[tenants]\nacme = 1", ["tenants.acme"]),
            ("tenants = 1", ["tenants"]),
            ("[tenant.acme]\n", ["tenant"]),
            ("weight = ", [""]),
            ("[default]\nrunning_requests = 100000000000000000000", ["default.running_requests"]),
        ],
    )
    def test_that_is_wrong_is_refused_with_every_path(self, tmp_path: Path, text: str, paths: list[str]) -> None:
        """All faults at once, and the name of the file."""
        path = tmp_path / "quotas.toml"
        path.write_text(text)

        with pytest.raises(InvalidInput, match=r"quotas\.toml") as caught:
            QuotaFile(path, DEFAULTS)

        assert [violation.path for violation in caught.value.violations] == paths

    @pytest.mark.parametrize("data", [b"\xff\xfe", b"[1]", b'{"default": ' + b"[" * 100_000, b'{"default": []}'])
    def test_of_any_bytes_is_refused(self, tmp_path: Path, data: bytes) -> None:
        """Never by another error."""
        path = tmp_path / "quotas.json"
        path.write_bytes(data)

        with pytest.raises(InvalidInput):
            QuotaFile(path, DEFAULTS)

    def test_is_read_again_when_it_changes(self, tmp_path: Path) -> None:
        """Written in place or put in place of the old one."""
        path, other = tmp_path / "quotas.toml", tmp_path / "next.toml"
        path.write_text("[default]\nweight = 2\n")
        quotas = QuotaFile(path, DEFAULTS)
        seen = [quotas.of("acme").weight]

        path.write_text("[default]\nweight = 30\n")
        seen.append(quotas.of("acme").weight)
        other.write_text("[default]\nweight = 40\n")
        other.replace(path)
        seen.append(quotas.of("acme").weight)

        assert seen == [2, 30, 40]

    @pytest.mark.parametrize("broken", ["[default]\nweight = 0\n", "[default", None])
    def test_that_breaks_changes_nothing_and_is_logged_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: str | None
    ) -> None:
        """An operator's slip costs no tenant its quota; the next whole file counts again."""
        path = tmp_path / "quotas.toml"
        path.write_text("[default]\nweight = 2\n")
        quotas = QuotaFile(path, DEFAULTS)
        if broken is None:
            path.unlink()
        else:
            path.write_text(broken)

        with caplog.at_level(logging.ERROR):
            during = [quotas.of("acme").weight for _ in range(3)]
        path.write_text("[default]\nweight = 300\n")

        assert during == [2, 2, 2]
        assert len(caplog.records) == 1
        assert "quotas.toml" in caplog.records[0].__dict__["detail"]
        assert quotas.of("acme").weight == 300


class TestPins:
    """Adapters that the operator's file gives a place for good."""

    def test_are_adapters_and_aliases_of_a_tenant(self, tmp_path: Path) -> None:
        """An adapter alone means its alias `live`; other fields of the table hold as ever."""
        path = tmp_path / "quotas.toml"
        path.write_text(
            '[tenants.acme]\nweight = 2\npinned_adapters = ["invoices", "orders/canary"]\n'
            '[tenants.umbra]\npinned_adapters = ["invoices"]\n[tenants.other]\npinned_adapters = []\n'
        )

        quotas = QuotaFile(path, DEFAULTS, max_pins=3)

        assert quotas.pins() == {
            AliasName("acme", "invoices", "live"),
            AliasName("acme", "orders", "canary"),
            AliasName("umbra", "invoices", "live"),
        }
        assert quotas.of("acme") == Quota(weight=2, requests_per_second=10)

    @pytest.mark.parametrize(
        ("table", "paths"),
        [
            ('acme]\npinned_adapters = "invoices"', ["tenants.acme.pinned_adapters"]),
            (
                'acme]\npinned_adapters = ["a", "A", "a/live", 3, "a/b/c", "a/", "/b"]\nweight = 0',
                [*(f"tenants.acme.pinned_adapters[{place}]" for place in (1, 2, 3, 4, 5, 6)), "tenants.acme.weight"],
            ),
            (
                'acme]\npinned_adapters = ["a", "b"]\n[tenants.umbra]\npinned_adapters = ["a", "b"]',
                ["tenants.*.pinned_adapters"],
            ),
        ],
    )
    def test_that_are_wrong_are_refused_with_every_path(self, tmp_path: Path, table: str, paths: list[str]) -> None:
        """No name, one twice, or more than there are places for, over all tenants."""
        path = tmp_path / "quotas.toml"
        path.write_text(f"[tenants.{table}\n")

        with pytest.raises(InvalidInput) as caught:
            QuotaFile(path, DEFAULTS, max_pins=3)

        assert [violation.path for violation in caught.value.violations] == paths

    def test_belong_to_no_default(self, tmp_path: Path) -> None:
        """A default would pin every tenant's adapter of that name, however many tenants come."""
        path = tmp_path / "quotas.toml"
        path.write_text('[default]\npinned_adapters = ["invoices"]\n')

        with pytest.raises(InvalidInput, match=r"default\.pinned_adapters: an adapter has one owner"):
            QuotaFile(path, DEFAULTS, max_pins=3)

    def test_follow_the_file_as_quotas_do(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Too many change nothing and are logged; the next whole file counts."""
        path = tmp_path / "quotas.toml"
        path.write_text('[tenants.acme]\npinned_adapters = ["a"]\n')
        quotas = QuotaFile(path, DEFAULTS, max_pins=1)
        before = quotas.pins()

        path.write_text('[tenants.acme]\npinned_adapters = ["a", "b"]\nweight = 7\n')
        with caplog.at_level(logging.ERROR):
            during = quotas.pins()
        path.write_text('[tenants.acme]\npinned_adapters = ["b"]\n')

        assert during is before
        assert quotas.of("acme").weight == 1
        assert "2 adapters are pinned in all, at most 1 can be" in caplog.records[0].__dict__["detail"]
        assert quotas.pins() == {AliasName("acme", "b", "live")}
