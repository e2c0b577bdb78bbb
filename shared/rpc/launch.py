"""From the command line to a serving process: the same for both services."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from shared.config import load_config
from shared.errors import InvalidInput
from shared.logs import configure
from shared.rpc.security import SecuritySettings, secure
from shared.rpc.server import EXIT_CONFIGURATION, Application, ServerSettings, run


class ListenSettings(Protocol):
    """What every service's settings hold."""

    @property
    def listen(self) -> str:
        """`host:port` to serve on."""

    @property
    def drain_seconds(self) -> float:
        """Time for running calls after SIGTERM."""

    @property
    def metrics_listen(self) -> str:
        """`host:port` of the metrics, or "" for none."""

    @property
    def health_listen(self) -> str:
        """`host:port` of the health service for probes, or "" for none."""

    @property
    def security(self) -> SecuritySettings:
        """Who may call."""


Settings = TypeVar("Settings", bound=ListenSettings)


def launch(
    argv: Sequence[str] | None,
    settings_class: type[Settings],
    build: Callable[[Settings], Awaitable[Application]],
    *,
    prog: str,
    description: str,
) -> int:
    """Reads the settings and serves; the exit status is that of `shared.rpc.server.run`, or EXIT_CONFIGURATION.

    `build` imports the service's composition root only when it is called, so that `--help` needs no engine.
    """
    configure()
    try:
        settings = load_config(settings_class, argv, prog=prog, description=description)
        security = secure(settings.security, settings.listen)
    except InvalidInput as err:
        sys.stderr.write(f"{err}\n")
        return EXIT_CONFIGURATION
    served = ServerSettings(
        listen=settings.listen,
        security=security,
        drain_seconds=settings.drain_seconds,
        metrics_listen=settings.metrics_listen,
        health_listen=settings.health_listen,
    )
    return run(served, lambda: build(settings))
