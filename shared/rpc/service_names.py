"""Which services an application offers, told from what it registers: health and reflection list no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import grpc


def service_names(register: Callable[[grpc.aio.Server], None]) -> list[str]:
    """Full names of the services that `register` adds to a server, in its order."""
    names = _Names()
    register(cast("grpc.aio.Server", names))  # generated code calls nothing of a server but these two methods
    return names.found


class _Names:
    """Stands for a server."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add_generic_rpc_handlers(self, handlers: tuple[grpc.ServiceRpcHandler, ...]) -> None:
        """Notes each handler's service."""
        self.found += [handler.service_name() for handler in handlers]

    def add_registered_method_handlers(self, service_name: str, handlers: object) -> None:
        """The same service a second time, for grpcio from 1.63 on."""
