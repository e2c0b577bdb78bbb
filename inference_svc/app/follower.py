"""Keeps the fleet in step with the registry's aliases and the operator's pins, for as long as the process lives."""

from __future__ import annotations

import asyncio

from inference_svc.app.fleet import Fleet
from inference_svc.app.ports import Registry
from inference_svc.app.quota_book import QuotaSource

_LOOK_SECONDS = 1.0
"""Between looks at the pins, which may change while nobody asks for anything."""


async def follow_aliases(registry: Registry, fleet: Fleet) -> None:
    """Passes each alias, and each change, on to the fleet; never returns."""
    async for alias in registry.watch_aliases():
        fleet.point(alias.name, alias.revision, alias.canary)


async def follow_pins(quotas: QuotaSource, fleet: Fleet) -> None:
    """Passes the pins, and each change of them, on to the fleet; never returns."""
    told = None
    while True:
        pins = quotas.pins()
        if pins is not told:
            fleet.pin(pins)
            told = pins
        await asyncio.sleep(_LOOK_SECONDS)
