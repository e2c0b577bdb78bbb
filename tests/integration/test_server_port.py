"""What a service does when one of its ports cannot be had."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from shared.errors import InvalidInput
from shared.rpc.security import SecuritySettings, secure
from shared.rpc.server import EXIT_NOT_USABLE, ServerSettings, run
from shared.telemetry.telemetry import Telemetry

pytestmark = pytest.mark.timeout(30)


class IdleApplication:
    """Implements `Application` without a service."""

    def __init__(self) -> None:
        self.telemetry = Telemetry.of("idle")
        self.started = False

    def register(self, server: grpc.aio.Server) -> None:
        """Nothing."""

    async def start(self) -> Mapping[str, object]:
        """Notes that it was reached."""
        self.started = True
        return {}

    async def drain(self) -> None:
        """Nothing."""

    async def stop(self) -> None:
        """Nothing."""

    async def readiness(self) -> AsyncIterator[bool]:
        """It never changes."""
        yield True

    async def failed(self) -> None:
        """At once, so that `run` returns."""


def _settings(**changes: str) -> ServerSettings:
    addresses = {"listen": "127.0.0.1:0"} | changes
    security = secure(SecuritySettings(insecure_loopback=True), addresses["listen"])
    return ServerSettings(security=security, **addresses)


@pytest.fixture
def taken() -> Iterator[str]:
    """An address that somebody else listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield f"127.0.0.1:{other.getsockname()[1]}"


class TestPorts:
    """`listen`, `metrics_listen` and `health_listen`."""

    @pytest.mark.parametrize("setting", ["listen", "metrics_listen", "health_listen"])
    def test_that_are_taken_end_the_process_before_it_starts_work(
        self, setting: str, taken: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """One line says which setting and which address; the exit status is that of what cannot be used."""
        application = IdleApplication()

        async def build() -> IdleApplication:
            return application

        with caplog.at_level(logging.ERROR):
            status = run(_settings(**{setting: taken}), build)

        (record,) = caplog.records
        assert status == EXIT_NOT_USABLE
        assert not application.started
        assert record.getMessage() == "cannot start"
        assert vars(record)["detail"].startswith(f"{setting}: cannot listen on {taken}")

    def test_that_are_off_are_not_told(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The ready line names the ports that there are."""

        async def build() -> IdleApplication:
            return IdleApplication()

        run(_settings(), build)

        assert set(json.loads(capsys.readouterr().out)) == {"ready", "address"}

    def test_for_probes_answer_until_the_drain_is_over(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Not serving any more, but there: a probe without an answer would have the process killed."""
        seen: list[object] = []

        class Draining(IdleApplication):
            async def drain(self) -> None:
                """Asks both ports."""
                ready = json.loads(capsys.readouterr().out)
                async with grpc.aio.insecure_channel(ready["health_address"]) as channel:
                    stub = health_pb2_grpc.HealthStub(channel)
                    seen.append((await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)).status)
                seen.append(await asyncio.to_thread(_status, ready["metrics_address"]))

        async def build() -> Draining:
            return Draining()

        run(_settings(metrics_listen="127.0.0.1:0", health_listen="127.0.0.1:0"), build)

        assert seen == [health_pb2.HealthCheckResponse.NOT_SERVING, 200]


def _status(address: str) -> int:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as response:
        found: int = response.status
        return found


class TestOtlpEndpoint:
    """Where spans go."""

    @pytest.mark.parametrize("endpoint", ["collector:4317", "grpc://collector:4317", "4317"])
    def test_must_say_whether_it_speaks_tls(self, endpoint: str) -> None:
        """By its scheme; plaintext is never guessed."""
        with pytest.raises(InvalidInput, match="http:// or https://") as caught:
            Telemetry.of("idle", otlp_endpoint=endpoint)

        assert caught.value.violations[0].path == "otlp_endpoint"
