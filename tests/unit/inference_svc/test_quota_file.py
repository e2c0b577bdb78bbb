"""The operator's file of quotas and pins: how it is read, and how it is followed."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

import pytest

from inference_svc.app.quota_book import QuotaFile
from inference_svc.domain.quota import Quota
from shared.errors import InvalidInput
from shared.names import AliasName

DEFAULTS = Quota(requests_per_second=10)


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
