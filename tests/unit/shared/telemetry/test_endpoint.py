"""The HTTP port that Prometheus scrapes."""

from __future__ import annotations

import socket
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, Counter

from shared.errors import InvalidInput
from shared.telemetry.endpoint import MetricEndpoint


class TestMetricEndpoint:
    """Serves one registry."""

    def test_answers_with_the_registry_s_metrics_and_no_others(self) -> None:
        """Two endpoints in one process share nothing."""
        mine, other = CollectorRegistry(), CollectorRegistry()
        Counter("mine", "Mine.", registry=mine).inc(3)
        Counter("other", "Other.", registry=other).inc(5)

        with (
            MetricEndpoint("127.0.0.1:0", mine) as endpoint,
            MetricEndpoint("127.0.0.1:0", other),
            urllib.request.urlopen(f"http://{endpoint.address}/metrics", timeout=10) as response,
        ):
            text = response.read().decode()

        assert "mine_total 3.0" in text
        assert "other" not in text

    def test_is_gone_after_it_was_closed(self) -> None:
        """The port is free again."""
        with MetricEndpoint("127.0.0.1:0", CollectorRegistry()) as endpoint:
            host, _, port = endpoint.address.rpartition(":")

        with socket.socket() as taken:
            taken.bind((host, int(port)))

    @pytest.mark.parametrize("listen", ["9100", ":9100", "localhost:", "localhost:http", "127.0.0.1:65536", "::1:x"])
    def test_refuses_what_is_no_address(self, listen: str) -> None:
        """Naming the setting."""
        with pytest.raises(InvalidInput, match="must be host:port") as caught:
            MetricEndpoint(listen, CollectorRegistry())

        assert caught.value.violations[0].path == "metrics_listen"

    def test_refuses_a_port_that_is_taken(self) -> None:
        """With the system's own words."""
        with (
            MetricEndpoint("127.0.0.1:0", CollectorRegistry()) as first,
            pytest.raises(InvalidInput, match="Address already in use"),
        ):
            MetricEndpoint(first.address, CollectorRegistry())
