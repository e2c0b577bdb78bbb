"""`goldsmith adapters`: what a replica serves, and what becomes of it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from shared.cli.address import INFERENCE, InferenceAddress
from shared.cli.screen import errors_shown, show_adapter_change, show_adapters
from shared.client import InferenceClient
from shared.names import TenantName


def adapters(
    context: typer.Context,
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="tenants/{tenant}")],
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on with a line for each change, until interrupted.")
    ] = False,
    address: InferenceAddress = INFERENCE,
) -> None:
    """List a tenant's adapters on one replica with their state."""
    with errors_shown():
        name = str(TenantName.parse(tenant))
        console = Console(highlight=False)
        with InferenceClient(address, context.obj) as inference:
            if not watch:
                show_adapters(console, inference.resident_adapters(name))
                return
            for adapter in inference.watch_resident_adapters(name):
                show_adapter_change(console, adapter)
