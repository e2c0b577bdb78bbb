"""Keeps the fleet in step with the registry's aliases, for as long as the process lives."""

from __future__ import annotations

from inference_svc.app.fleet import Fleet
from inference_svc.app.ports import Registry


async def follow_aliases(registry: Registry, fleet: Fleet) -> None:
    """Passes each alias, and each change, on to the fleet; never returns."""
    async for alias in registry.watch_aliases():
        fleet.point(alias.name, alias.revision, alias.canary)
