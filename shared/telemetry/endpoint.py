"""The HTTP port that Prometheus scrapes: plaintext, nothing but metrics, on every path."""

from __future__ import annotations

from typing import Self

from prometheus_client import CollectorRegistry, start_http_server

from shared.names import invalid_field


def split_address(listen: str, setting: str) -> tuple[str, int]:
    """Host and port of `host:port`; brackets around an IPv6 host are optional.

    Raises `InvalidInput` (FIELD_INVALID) naming `setting`.
    """
    host, _, port = listen.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and int(port) <= 65_535):
        raise invalid_field(setting, f"must be host:port, got {listen!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


class MetricEndpoint:
    """Serves one registry from threads of its own, so that a scrape never waits for the event loop.

    Raises `InvalidInput` (FIELD_INVALID) when the address cannot be listened on.
    """

    def __init__(self, listen: str, registry: CollectorRegistry) -> None:
        host, port = split_address(listen, "metrics_listen")
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as err:
            raise invalid_field("metrics_listen", f"cannot listen on {listen}: {err.strerror}") from err
        self.address = f"{listen.rpartition(':')[0]}:{self._server.server_port}"

    def close(self) -> None:
        """Ends the server; blocks for up to half a second."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
